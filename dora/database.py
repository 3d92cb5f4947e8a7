"""The configured database: its address, its roles, its schemas."""
