"""What tests share: a server for the whole run, a database of its own for each test, `--long`."""

import fcntl
import json
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
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
    """Make a temporary folder that is this run's for as long as the open file lives."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    # Root's servers run as somebody else, who has to get in.
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
    """Stop the server of a home and delete its data, wherever they are."""
    embedded_postgres.stop(home)
    state = home / "postgres.json"
    if state.exists():
        shutil.rmtree(json.loads(state.read_text()).get("folder", home / "postgres"))
    if home.is_dir():
        shutil.rmtree(home)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked long")


def pytest_configure(config: pytest.Config) -> None:
    """Name the run's folder once, for this process and every worker that it starts."""
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
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    # Two workers end at about the same time if the longest files come first.
    items.sort(key=lambda item: item.path.name not in LONGEST)


def hurry(connection: psycopg.Connection[Any]) -> None:
    """Have a server wait for no disk: it need not survive a crash of the machine."""
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
    """Have `make` fill a database of this name, unless a worker of this run has had it so."""
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
    """A database of the test's own with schemas and roles in it, gone afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        yield Database(server.url(name))
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def demo(server: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The marts of a demo organisation, made once for all workers; to be read, not written to."""
    from tests import demo_marts

    home = tmp_path_factory.mktemp("demo")
    make_once(server, DEMO, lambda database: demo_marts.make(database, home))
    return Database(server.url(DEMO))


def new_home(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A home for a server of the test's own: not there yet, in a folder that everyone reaches."""
    home = request.config.stash[FOLDER] / f"home-{secrets.token_hex(6)}"
    yield home
    destroy(home)


home = pytest.fixture(new_home)
module_home = pytest.fixture(new_home, scope="module")
session_home = pytest.fixture(new_home, scope="session")


@pytest.fixture
def closed_home(tmp_path: Path) -> Iterator[Path]:
    """The same in a folder that nobody but its owner reaches."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    yield closed / "home"
    destroy(closed / "home")
