"""Landing in `raw` by dlt: the pipeline's working folder, its state, its tables."""

import hashlib
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Read by dlt on import: it phones nobody and names nested tables as `ingest.naming` says.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
os.environ["SCHEMA__NAMING"] = "ingest.naming"

import dlt
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema, TTableSchema, TTableSchemaColumns
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from dora.database import Database
from dora.errors import UnavailableError
from dora.roles import INGEST
from ingest.github.source import NAME, Batch, github, resources

logger = logging.getLogger(__name__)

DATASET = "raw"
_AWAY = DestinationConnectionError
# What dlt's merges and dbt's joins look up; dlt makes no index of its own.
_INDEXES = """
create unique index if not exists pull_requests_id on raw.pull_requests (id);
create unique index if not exists pull_requests_dlt_id on raw.pull_requests (_dlt_id);
create index if not exists reviews_root on raw.pull_request_reviews (_dlt_root_id);
create index if not exists draft_events_root on raw.pull_request_draft_events (_dlt_root_id);
create unique index if not exists user_logins_id on raw.user_logins (user_id, login);
create unique index if not exists repositories_id on raw.repositories (id);
"""
# The columns that dlt gives every row, as its relational normaliser declares them.
_KEY: TColumnSchema = {"data_type": "text", "nullable": False}
_ROOT: TTableSchemaColumns = {
    "_dlt_load_id": _KEY,
    "_dlt_id": {**_KEY, "unique": True, "row_key": True},
}
_MERGED: TTableSchemaColumns = {"_dlt_root_id": {**_KEY, "root_key": True}}
_NESTED: TTableSchemaColumns = {
    "_dlt_parent_id": {**_KEY, "parent_key": True},
    "_dlt_list_idx": {"data_type": "bigint", "nullable": False},
    "_dlt_id": {**_KEY, "unique": True, "row_key": True},
}


class Landing:
    """The way into `raw`. One at a time per database: tables share dlt's staging dataset."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._folder = home.resolve() / "dlt" / _name_of(database)
        # A package left by a run that was killed is older than what has landed since: dlt would
        # load it first and extract nothing. State comes from the database alone.
        shutil.rmtree(self._folder, ignore_errors=True)
        self._pipeline = dlt.pipeline(
            NAME,
            pipelines_dir=str(self._folder),
            destination=dlt.destinations.postgres(
                database.url_for(INGEST),
                create_indexes=False,
                replace_strategy="insert-from-staging",
            ),
            dataset_name=DATASET,
        )

    def open(self) -> dict[str, Any]:
        """Make the tables where they are missing; return the state of the last landing."""
        self._pipeline.sync_destination()
        if not self._pipeline.default_schema_name:
            self._make_tables()
        state: Mapping[str, Any] = self._pipeline.state.get("sources", {})
        return dict(state.get(NAME, {}))

    def land(self, batch: Batch) -> None:
        """Land a batch: its rows and its state, or nothing that counts."""
        if self._pipeline.has_pending_data:
            self._pipeline.abort_packages()
        try:
            self._pipeline.run(github(batch))
        except PipelineStepFailed as error:
            if isinstance(error.__context__, _AWAY) or isinstance(error.exception, _AWAY):
                raise UnavailableError(
                    f"the database went away while landing: {error.exception}"
                ) from error
            raise

    def close(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_tables(self) -> None:
        """Make every declared table, empty: dlt itself waits for the first row of each."""
        source = github(Batch(teams=[]))
        self._pipeline.extract(source)
        schema = self._pipeline.default_schema
        for resource in resources(Batch(teams=[])):
            root = resource.compute_table_schema()
            merged = _MERGED if root["write_disposition"] == "merge" else {}
            _declare(schema, root, _ROOT)
            for nested in resource.compute_nested_table_schemas(resource.name, schema.naming):
                _declare(schema, nested, merged | _NESTED)
        self._pipeline.sync_schema()
        self._pipeline.abort_packages()
        with self._database.connect(INGEST) as connection:
            connection.execute(_INDEXES)


def _declare(schema: Schema, table: TTableSchema, system: TTableSchemaColumns) -> None:
    for name, hint in system.items():
        table["columns"][name] = {"name": name, **hint}
    schema.update_table({**table, "x-normalizer": {"seen-data": True}})


def _name_of(database: Database) -> str:
    return hashlib.sha256(database.url.encode()).hexdigest()[:16]
