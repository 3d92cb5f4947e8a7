"""Run dbt in this process, also in AWS Lambda, which has no /dev/shm and only /tmp to write to."""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.context import BaseContext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from psycopg import errors

from dora.database import Database
from dora.errors import ConfigurationError, TransformError
from dora.roles import TRANSFORM
from dora.settings import Settings, load_settings

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

ROOT = Path(__file__).resolve().parents[1]
# Where dbt finds this project, from any folder.
FOLDERS = {"DBT_PROJECT_DIR": str(ROOT / "dbt_project"), "DBT_PROFILES_DIR": str(ROOT)}
# Any number that nothing else in this database uses as a lock: see ingest.lock and dora.roles.
LOCK = 0x646F7263
# The command that builds the marts. Unit tests check the models, not the data: `make test` runs
# them. Nothing reads the JSON files that dbt would write for such a build in about a second.
BUILD = ("build", "--exclude-resource-type", "unit_test", "--no-write-json")
# The parsed project, written when the package is built: saves parsing it at each cold start.
PARSED = ROOT / "dbt_project" / "parsed.msgpack"
# It contains the name of the database (the default in profiles.yml) and schemas without a prefix.
PARSED_FOR = "dora"


def build_marts(
    database: Database,
    home: Path,
    arguments: Sequence[str] = (),
    *,
    on_event: Callable[["EventMsg"], None] | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> None:
    """Run `dbt build`, on a laptop and in Lambda; if another build is running, wait for it first.

    `arguments` go to dbt after `build`. `on_wait` is called before waiting for another build.
    Raises what `run_dbt` raises; a `TransformError` says whether the marts have changed.
    """
    with database.connect(autocommit=True) as connection:
        lock = [database.schemas.lock(LOCK)]
        if connection.execute("select pg_try_advisory_lock(%s)", lock).fetchone() != (True,):
            on_wait()
            connection.execute("select pg_advisory_lock(%s)", lock)
        before = _published(database)
        try:
            run_dbt(database, home, [*BUILD, *arguments], on_event)
        except (TransformError, KeyboardInterrupt) as error:
            is_unchanged = _published(database) == before
            error.add_note(f"The marts are {'unchanged' if is_unchanged else 'from this build'}.")
            raise


def run_dbt(
    database: Database,
    home: Path,
    arguments: Sequence[str],
    on_event: Callable[["EventMsg"], None] | None = None,
) -> None:
    """Run a dbt command in this process as `dora_transform`, with its files under `home`.

    `on_event` is called with each event of dbt. Raises `TransformError` with the failed models and
    tests, `ConfigurationError` if dbt rejects its arguments.
    """
    with _environment(database.environment(TRANSFORM), home), garbage_collector_off():
        do_without_semaphores()
        from dbt.cli.exceptions import DbtUsageException
        from dbt.cli.main import dbtRunner

        with _interruptible() as interrupts:
            runner = dbtRunner(_parsed(), [on_event] if on_event else [])
            outcome = runner.invoke(list(arguments))
    if interrupts:
        raise interrupts[0]
    if isinstance(outcome.exception, DbtUsageException):
        raise ConfigurationError(str(outcome.exception))
    if outcome.exception and not isinstance(outcome.exception, Exception):
        raise outcome.exception
    if outcome.success:
        return
    faults = [str(outcome.exception)] if outcome.exception else []
    for one in getattr(outcome.result, "results", []):
        if one.status in {"error", "fail", "runtime error"}:
            faults.append(f"{one.node.name}: {one.message}")
    raise TransformError("\n".join([f"dbt {arguments[0]} failed:", *faults]))


@contextmanager
def garbage_collector_off() -> Iterator[None]:
    """Disable the garbage collector for a block.

    It would scan everything that dbt has parsed hundreds of times: two seconds, to save 50 MB.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _interruptible() -> Iterator[list[KeyboardInterrupt]]:
    """Make Ctrl-C, SIGTERM and SIGHUP cancel dbt's statements; yield the interrupts raised.

    dbt would end its sessions with `pg_terminate_backend`, which a session that has switched to a
    role may not use on a session of its login; dbt would then wait for ever. The statements are
    cancelled until dbt ends: one of its threads may be about to send the next one.
    """
    interrupts: list[KeyboardInterrupt] = []
    before: dict[int, Any] = {}
    has_ended = threading.Event()

    cancelling = threading.Thread(target=_cancel_statements, args=[has_ended], daemon=True)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if cancelling.ident is None:
            cancelling.start()
        try:
            before[number](number, frame)
        except KeyboardInterrupt as error:
            interrupts.append(error)
            raise

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and callable(signal.getsignal(number)):
                before[number] = signal.signal(number, interrupt)
    try:
        yield interrupts
    finally:
        has_ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _cancel_statements(has_ended: threading.Event) -> None:
    """Cancel the statements of all of dbt's connections, twice a second until dbt has ended."""
    from dbt.adapters.factory import FACTORY
    from dbt_common.exceptions import DbtRuntimeError
    from psycopg2 import Error

    while not has_ended.is_set():
        for adapter in list(FACTORY.adapters.values()):
            for connection in list(adapter.connections.thread_connections.values()):
                # dbt may be about to close it.
                with suppress(Error, DbtRuntimeError):
                    if connection.state == "open":
                        connection.handle.cancel()
        has_ended.wait(0.5)


def _published(database: Database) -> str | None:
    """The id of the build that is in the marts; None if there is none."""
    with database.connect(TRANSFORM) as connection:
        try:
            query = database.schemas.qualify("select build_id from marts.dim_build")
            row = connection.execute(query).fetchone()
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            return None
        return row and str(row[0])


def _parsed() -> "Manifest | None":
    """The parsed project, if it fits this database's name and schemas."""
    is_for_it = os.environ["PGDATABASE"] == PARSED_FOR and not os.environ["DORA_SCHEMA_PREFIX"]
    if not PARSED.exists() or not is_for_it:
        return None
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(PARSED.read_bytes())
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def do_without_semaphores() -> None:
    """If the system has no semaphores, make dbt use locks and a pool of threads.

    dbt and its thread pool take their locks from multiprocessing, although all its workers are
    threads, and dbt creates a pool of processes to check metrics but does not use it. Call this
    before dbt is imported: dbt keeps one of the locks.
    """
    try:
        multiprocessing.get_context("spawn").RLock()
    except OSError:
        from dbt_semantic_interfaces.validations import semantic_manifest_validator

        for name, lock in (("Lock", threading.Lock), ("RLock", threading.RLock)):
            setattr(BaseContext, name, staticmethod(lock))
        vars(semantic_manifest_validator).update(ProcessPoolExecutor=ThreadPoolExecutor)


def environment(settings: Settings) -> dict[str, str]:
    """The environment for dbt besides the database's: its folders and the settings it reads."""
    chosen = {
        "REPORTING_TIMEZONE": settings.reporting_timezone,
        "ATTRIBUTION_INSTANT": settings.attribution_instant,
    }
    return FOLDERS | {name: value for name, value in chosen.items() if value is not None}


@contextmanager
def _environment(connection: dict[str, str], home: Path) -> Iterator[None]:
    """Set the process's environment for dbt in a block."""
    before = dict(os.environ)
    # Variables of another project in the same shell, such as DBT_TARGET, must not apply here.
    for name in [name for name in os.environ if name.startswith("DBT_")]:
        del os.environ[name]
    written = home.expanduser().resolve() / "dbt"
    os.environ.update(
        connection | environment(load_settings([])),
        DBT_SEND_ANONYMOUS_USAGE_STATS="false",
        DBT_TARGET_PATH=str(written / "target"),
        DBT_LOG_PATH=str(written / "logs"),
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
