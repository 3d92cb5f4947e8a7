"""Loads rows into `raw` by dlt: the pipeline's working folder, its state, its tables."""

import errno
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# dlt reads these when it is imported; environment variables take precedence over files.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
# At ERROR it would log a traceback for every job that it retries; real failures are raised.
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
import dlt.common.storages.load_package as load_package
import psycopg
import psycopg2
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import CustomLoaderDocProvider
from dlt.common.configuration.specs import configspec
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.destination.exceptions import DestinationException
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema, TTableSchema, TTableSchemaColumns
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.pipeline import Pipeline

from dora.database import Database, may_pass
from dora.errors import ConfigurationError, DoraError, UnavailableError
from dora.roles import INGEST
from ingest.ddl import CHANGES, IDENTITIES, INDEXES_OF_DBT, INDEXES_OF_DLT
from ingest.github.source import NAME, Batch, every_table, github, resources
from ingest.lock import Lock
from ingest.tables import EVERY_COLUMN

logger = logging.getLogger(__name__)

_SETTINGS = {
    "load": {"workers": 4, "raise_on_max_retries": 1},
    # The files exist for a second: compressing them takes longer than reading them.
    "data_writer": {"disable_compression": True},
    "schema": {"naming": "ingest.naming"},
}
# By default dlt also reads `.dlt/` in the current folder and in the user's home, and variables
# such as LOAD__WORKERS: those are settings of other projects.
Container()[PluggableRunContext].providers.providers = [
    CustomLoaderDocProvider("dora", lambda: _SETTINGS, supports_secrets=False, locations=())
]

# Attempts per load if the database is unavailable, with waits of 1, 2 and 4 seconds between.
ATTEMPTS = 4
CONNECT_SECONDS = "15"
_DENIED = "42501"
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}
_COLUMNS = """
    select table_name, column_name
    from information_schema.columns
    where table_schema = 'raw'
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


@configspec(init=False)
class _Libpq(PostgresCredentials):
    """The connection string of the database; dlt's credentials require a host and a password.

    dlt connects with the results of both methods, and adds its search path to the options.
    """

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.host = self.database = str(database)
        self._conninfo = database.conninfo(INGEST, connect_timeout=CONNECT_SECONDS)
        self._options = database.options(INGEST)

    def to_native_representation(self) -> str:
        return self._conninfo

    def get_query(self) -> dict[str, Any]:
        return {"options": self._options}


class Loader:
    """Loads batches into `raw`. One at a time per database: tables share dlt's staging dataset."""

    def __init__(self, database: Database, home: Path, lock: Lock) -> None:
        self._database = database
        self._folder = home.resolve() / "dlt" / _name_of(database)
        self._lock = lock
        # The rows that record loaded data; they wait for the package after that data.
        self._unsaid = Batch()
        self._pipeline = self._fresh_pipeline()

    def open(self) -> dict[str, Any]:
        """Create missing tables, columns and indexes; return the state of the last load.

        Raises `UnavailableError` if the database is unavailable, `ConfigurationError` if it refuses
        access.
        """
        try:
            return self._open()
        except (PipelineStepFailed, DestinationException, psycopg.Error) as error:
            if told := self._told(error, "is unavailable"):
                raise told from error
            raise

    def _open(self) -> dict[str, Any]:
        qualify = self._database.schemas.qualify
        self._pipeline.sync_destination()
        with self._database.connect(INGEST) as connection:
            columns = set(connection.execute(qualify(_COLUMNS)).fetchall())
        if not columns >= EVERY_COLUMN:
            self._make_tables()
            # dlt continues with the schema as it is stored now, without the packages that created
            # it: aborting those would also undo their schema.
            self._pipeline = self._fresh_pipeline()
            self._pipeline.sync_destination()
        with self._database.connect(INGEST) as connection:
            connection.execute(qualify(CHANGES + INDEXES_OF_DBT + INDEXES_OF_DLT + IDENTITIES))
        self._lock.landed()
        _go_on_after(self._lock.last_load)
        state: Mapping[str, Any] = self._pipeline.state.get("sources", {})
        return dict(state.get(NAME, {}))

    def land(self, batch: Batch, *, is_last: bool = False) -> None:
        """Load a batch with its rows and its state, or nothing that counts.

        dlt loads each table in a separate transaction. Therefore the rows that record loaded data
        come in a later package: the next batch's, or an additional one after the last batch.
        Retries if the database is unavailable; raises `UnavailableError` if it stays unavailable or
        the disk is full, `ConfigurationError` if it refuses access, `StoppedEarly` if another run
        took over.
        """
        loaded, said = batch.split()
        if batch.has_data():
            self._load(loaded.saying(self._unsaid))
            self._unsaid = said
        else:
            self._unsaid = said.saying(self._unsaid)
        if is_last:
            self._load(self._unsaid)
            self._unsaid = Batch()

    def _load(self, batch: Batch) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._lock.confirm()
                info = self._pipeline.run(github(batch))
                self._lock.landed(info.loads_ids[-1])
                return
            except (PipelineStepFailed, UnavailableError, psycopg.Error) as error:
                if disk := _disk_error(error):
                    raise UnavailableError(
                        f"{self._folder} cannot be written: {disk.strerror}"
                    ) from error
                told = self._told(error, "failed while loading")
                if told is None:
                    raise
                if attempt == ATTEMPTS or not isinstance(told, UnavailableError):
                    raise told from error
                logger.warning("loading failed, attempt %d: %s", attempt, told)
            time.sleep(2 ** (attempt - 1))
            self._pipeline = self._fresh_pipeline()

    def _told(self, error: Exception, away: str) -> DoraError | None:
        """Return the error to raise if the database caused this one; otherwise None."""
        found = next(
            (each for each in _chain(error) if isinstance(each, (psycopg2.Error, psycopg.Error))),
            None,
        )
        if found is None:
            return None
        sqlstate = found.sqlstate if isinstance(found, psycopg.Error) else found.pgcode
        reason = str(found).strip().partition("\n")[0]
        if may_pass(sqlstate):
            return UnavailableError(f"the database {self._database} {away}: {reason}")
        if sqlstate == _DENIED:
            reason += "; run `dora db init`, which grants dora_ingest its privileges"
        return ConfigurationError(f"the database {self._database} refuses: {reason}")

    def close(self) -> None:
        """Delete the working folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _fresh_pipeline(self) -> Pipeline:
        # A killed run may leave a package that is older than data loaded since: dlt would load that
        # package first and extract nothing. The state comes from the database alone.
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.mkdir(parents=True)
        except OSError as error:
            raise ConfigurationError(
                f"DORA_HOME cannot be written: {self._folder}: {error.strerror}"
            ) from None
        return dlt.pipeline(
            NAME,
            pipelines_dir=str(self._folder),
            destination=dlt.destinations.postgres(
                _Libpq(self._database).resolve(),
                create_indexes=False,
                replace_strategy="insert-from-staging",
                # It would replace two underscores by one.
                enable_dataset_name_normalization=False,
            ),
            dataset_name=self._database.schemas.raw,
        )

    def _make_tables(self) -> None:
        """Create every declared table, empty; dlt would create each with its first row."""
        self._pipeline.extract(every_table())
        schema = self._pipeline.default_schema
        for table in _declared(schema).values():
            schema.update_table({**table, "x-normalizer": {"seen-data": True}})
        self._pipeline.sync_schema()


def _declared(schema: Schema) -> dict[str, TTableSchema]:
    """Return every table by its name, as `ingest.tables` and dlt's normaliser declare it."""
    declared: dict[str, TTableSchema] = {}
    for resource in resources(Batch()):
        root = resource.compute_table_schema()
        merged = _MERGED if root["write_disposition"] == "merge" else {}
        declared[str(root["name"])] = _with_columns(root, _ROOT)
        for nested in resource.compute_nested_table_schemas(resource.name, schema.naming):
            declared[str(nested["name"])] = _with_columns(nested, {**merged, **_NESTED})
    return declared


def _with_columns(table: TTableSchema, system: TTableSchemaColumns) -> TTableSchema:
    for name, hint in system.items():
        table["columns"][name] = {"name": name, **hint}
    return table


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while error is not None:
        yield error
        error = getattr(error, "exception", None) or error.__cause__ or error.__context__


def _disk_error(error: Exception) -> OSError | None:
    """Return the disk error that caused this error, if there is one."""
    refusals = (e for e in _chain(error) if isinstance(e, OSError) and e.errno in _DISK)
    return next(refusals, None)


def _go_on_after(load_id: str | None) -> None:
    """Make dlt's next load id, an instant, higher than this one: dlt takes the highest as newest.

    Otherwise it may be lower if the clock of this or another machine was ahead.
    """
    clock: Any = vars(load_package)["increasing_precise_time"]
    if load_id and float(load_id) > clock():
        clock._last = float(load_id)


def _name_of(database: Database) -> str:
    return hashlib.sha256(f"{database.schemas.raw} {database.url}".encode()).hexdigest()[:16]
