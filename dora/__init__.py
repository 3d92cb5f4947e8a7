"""Shared by all parts: settings, database, roles, secrets, errors, the embedded PostgreSQL."""
