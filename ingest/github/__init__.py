"""GitHub's API: the client, pagination, the dlt source."""
