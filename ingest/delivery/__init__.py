"""Deployments, releases, tags, runs, commits and incidents: what DORA's metrics are made of."""
