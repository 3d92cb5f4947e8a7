"""Landing in `raw` by dlt: the pipeline's working folder, its state, its tables."""

import errno
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Read by dlt on import: it phones nobody and names nested tables as `ingest.naming` says.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
os.environ.setdefault("LOAD__WORKERS", "4")
# What it writes lives for a second: to compress it takes longer than to read it.
os.environ.setdefault("DATA_WRITER__DISABLE_COMPRESSION", "true")
os.environ.setdefault("LOAD__RAISE_ON_MAX_RETRIES", "1")
os.environ["SCHEMA__NAMING"] = "ingest.naming"

import dlt
import dlt.common.storages.load_package as load_package
import psycopg
import psycopg2
from dlt.common.destination.exceptions import DestinationTransientException
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema, TTableSchema, TTableSchemaColumns
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.pipeline import Pipeline

from dora.database import Database
from dora.errors import ConfigurationError, UnavailableError
from dora.roles import INGEST
from ingest.ddl import CHANGES, INDEXES_OF_DBT, INDEXES_OF_DLT
from ingest.github.source import NAME, Batch, every_table, github, resources
from ingest.lock import Lock
from ingest.tables import TABLES

logger = logging.getLogger(__name__)
# It logs a traceback for every job that it tries again; what counts is raised.
logging.getLogger("dlt").setLevel(logging.CRITICAL)

DATASET = "raw"
# How often a landing is tried while the database goes away: waits of 1, 2 and 4 seconds.
ATTEMPTS = 4
_AWAY = (DestinationTransientException, psycopg2.OperationalError, psycopg2.InterfaceError)
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}
_DENIED = re.compile(r"permission denied for \w+ \w+")
_COLUMNS = """
    select table_name, column_name
    from information_schema.columns
    where table_schema = 'raw'
"""
_NEEDED = {(table, column) for table, columns in TABLES.items() for column in columns}
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

    def __init__(self, database: Database, home: Path, lock: Lock) -> None:
        self._database = database
        self._folder = home.resolve() / "dlt" / _name_of(database)
        self._lock = lock
        # The rows that say what has landed, and wait for the package after it.
        self._unsaid = Batch()
        self._pipeline = self._fresh_pipeline()

    def open(self) -> dict[str, Any]:
        """Make what is missing of the tables; return the state of the last landing.

        Raises `UnavailableError` where the database goes away.
        """
        try:
            return self._open()
        except (PipelineStepFailed, *_AWAY, psycopg.OperationalError) as error:
            if not _is_away(error):
                raise
            raise UnavailableError(
                f"the database {self._database} went away: {_first_line(error)}"
            ) from error

    def _open(self) -> dict[str, Any]:
        self._pipeline.sync_destination()
        with self._database.connect(INGEST) as connection:
            columns = set(connection.execute(_COLUMNS).fetchall())
        if not columns >= _NEEDED:
            self._make_tables()
        with self._database.connect(INGEST) as connection:
            connection.execute((CHANGES + INDEXES_OF_DBT + INDEXES_OF_DLT).encode())
        self._lock.landed()
        _go_on_after(self._lock.last_load)
        state: Mapping[str, Any] = self._pipeline.state.get("sources", {})
        return dict(state.get(NAME, {}))

    def land(self, batch: Batch, *, is_last: bool = False) -> None:
        """Land a batch: its rows and its state, or nothing that counts.

        dlt gives each table a transaction of its own. So what says that something is loaded lands
        in a package after it: the next batch's, or after the last batch one of its own.
        Tries again where the database goes away; raises `UnavailableError` where it stays away or
        the disk is full, `StoppedEarly` where another run took over.
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
            except (PipelineStepFailed, UnavailableError, psycopg.OperationalError) as error:
                if disk := _disk_error(error):
                    raise UnavailableError(
                        f"{self._folder} cannot be written: {disk.strerror}"
                    ) from error
                if denied := _DENIED.search(str(error)):
                    raise ConfigurationError(
                        f"the database {self._database} refuses what was read: {denied[0]}; "
                        "`dora db init` gives dora_ingest its rights"
                    ) from error
                if not _is_away(error):
                    raise
                reason = _first_line(error)
                logger.warning("landing failed, attempt %d: %s", attempt, reason)
                if attempt == ATTEMPTS:
                    raise UnavailableError(
                        f"the database {self._database} does not take what was read: {reason}"
                    ) from error
            time.sleep(2 ** (attempt - 1))
            self._pipeline = self._fresh_pipeline()

    def close(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _fresh_pipeline(self) -> Pipeline:
        # A package left by a run that was killed is older than what has landed since: dlt would
        # load it first and extract nothing. State comes from the database alone.
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
                self._database.url_for(INGEST),
                create_indexes=False,
                replace_strategy="insert-from-staging",
            ),
            dataset_name=DATASET,
        )

    def _make_tables(self) -> None:
        """Make every declared table, empty: dlt itself waits for the first row of each."""
        self._pipeline.extract(every_table())
        schema = self._pipeline.default_schema
        for table in _declared(schema).values():
            schema.update_table({**table, "x-normalizer": {"seen-data": True}})
        self._pipeline.sync_schema()
        self._pipeline.abort_packages()


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


def _disk_error(error: BaseException | None) -> OSError | None:
    """Return what the disk refused, if that is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK:
            return error
        error = getattr(error, "exception", None) or error.__cause__ or error.__context__
    return None


def _go_on_after(load_id: str | None) -> None:
    """Have dlt's load ids go up, which are instants: it takes the highest for the newest.

    They would not where the clock of this machine, or of another, has been ahead.
    """
    clock: Any = vars(load_package)["increasing_precise_time"]
    if load_id and float(load_id) > clock():
        clock._last = float(load_id)


def _is_away(error: BaseException) -> bool:
    if isinstance(error, PipelineStepFailed):
        return isinstance(error.exception, _AWAY) or isinstance(error.__context__, _AWAY)
    return True


def _first_line(error: BaseException) -> str:
    """Return what the database said, without dlt's advice."""
    cause = error.exception if isinstance(error, PipelineStepFailed) else error
    said = re.search(r"^psycopg2\.\S+: (.+)$", str(cause), re.MULTILINE)
    return said[1] if said else str(cause).strip().partition("\n")[0]


def _name_of(database: Database) -> str:
    return hashlib.sha256(database.url.encode()).hexdigest()[:16]
