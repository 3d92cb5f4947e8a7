"""GitHub's GraphQL API: the client, the walk, the dlt source."""
