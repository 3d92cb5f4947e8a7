"""GitHub to the schema `raw`."""
