"""Deployments, releases, tags, workflow runs, commits and incidents: the data of DORA's metrics."""
