"""Shared by all tests: a server for the whole run, a database for each test, `--long`."""

import fcntl
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

from dora import embedded_postgres
from dora.database import Database, initialise
from dora.embedded_postgres import Embedded

FOLDER = pytest.StashKey[Path]()
PREFIX = "dora-tests-"
TEMPLATE = "template_of_tests"
DEMO = "demo_of_tests"
LONGEST = {"test_week.py", "test_dbt_incremental.py", "test_dbt_publish.py"}


def new_folder() -> tuple[Path, IO[bytes]]:
    """Make a temporary folder that is marked as in use as long as the file is open."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    # Servers of root run as another account, which needs access.
    folder.chmod(0o755)
    mark = (folder / "unmarked").open("wb")
    fcntl.flock(mark, fcntl.LOCK_EX)
    (folder / "unmarked").rename(folder / "in-use")
    return folder, mark


def clear_away_killed_runs() -> None:
    for mark in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/in-use"):
        # Another user's folder cannot be opened; one in use is locked.
        with suppress(OSError), mark.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            clear(mark.parent)


def clear(folder: Path) -> None:
    for home in folder.iterdir():
        destroy(home)
    shutil.rmtree(folder)


def destroy(home: Path) -> None:
    """Stop the server of a home and delete its data, also outside the home."""
    embedded_postgres.stop(home)
    state = home / "postgres.json"
    if state.exists():
        shutil.rmtree(json.loads(state.read_text()).get("folder", home / "postgres"))
    if home.is_dir():
        shutil.rmtree(home)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked long")


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's folder once, for this process and all of its workers."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores Ctrl-C, and so would every command that a test stops.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    if workerinput:
        config.stash[FOLDER] = Path(workerinput["dora_folder"])
        return
    clear_away_killed_runs()
    config.stash[FOLDER], mark = new_folder()
    config.add_cleanup(mark.close)
    config.add_cleanup(lambda: clear(config.stash[FOLDER]))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["dora_folder"] = str(node.config.stash[FOLDER])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        skipped = {"long"} if os.environ.get("CI") == "true" else {"long", "ci"}
        left_out = [item for item in items if skipped & {mark.name for mark in item.iter_markers()}]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    # If the longest files come first, two workers finish at about the same time.
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a skipped test fails: what it needs is missing."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        assert isinstance(report.longrepr, tuple)
        report.outcome, report.longrepr = "failed", report.longrepr[2]
    return report


def hurry(connection: psycopg.Connection[Any]) -> None:
    """Turn off waiting for the disk: the server need not survive a crash of the machine."""
    connection.execute("alter system set fsync = off")
    connection.execute("select pg_reload_conf()")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Embedded:
    """The embedded server of this test run, shared by its workers; it need not survive a crash."""
    server = embedded_postgres.start(request.config.stash[FOLDER] / "shared")

    def prepare(database: Database) -> None:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            hurry(connection)
        initialise(database)

    make_once(server, TEMPLATE, prepare)
    return server


def make_once(server: Embedded, name: str, make: Callable[[Database], None]) -> None:
    """Fill a database of this name with `make`, unless a worker of this run already has."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext(%s))", [name])
        query = "select exists (select from pg_database where datname = %s)"
        if connection.execute(query, [name]).fetchone() == (False,):
            making = f"{name}_in_the_making"
            server.create_database(making)
            make(Database(server.url(making)))
            connection.execute(f"alter database {making} rename to {name}")


@pytest.fixture
def database(server: Embedded) -> Iterator[Database]:
    """A new database with schemas and roles, dropped after the test."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        yield Database(server.url(name))
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def demo(server: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The marts of a demo organisation, made once for all workers; read-only."""
    from tests import demo_marts

    home = tmp_path_factory.mktemp("demo")
    make_once(server, DEMO, lambda database: demo_marts.make(database, home))
    return Database(server.url(DEMO))


def new_home(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A home for a separate server: it does not exist yet; everyone can access its parent."""
    home = request.config.stash[FOLDER] / f"home-{secrets.token_hex(6)}"
    yield home
    destroy(home)


home = pytest.fixture(new_home)
module_home = pytest.fixture(new_home, scope="module")
session_home = pytest.fixture(new_home, scope="session")


@pytest.fixture
def closed_home(tmp_path: Path) -> Iterator[Path]:
    """The same in a folder that only its owner can access."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    yield closed / "home"
    destroy(closed / "home")
