"""What ingest and api share: settings, database, secrets, logging, the `dora` command."""
