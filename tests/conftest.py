"""What tests share: a server for the whole run, a database of its own for each test, `--long`."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dora import embedded
from dora.database import Database, initialise
from dora.embedded import Embedded

HOME = pytest.StashKey[Path]()
TEMPLATE = "template_of_tests"


def reachable_folder() -> Path:
    """A new temporary folder; root's server runs as somebody else, who has to get in."""
    folder = Path(tempfile.mkdtemp(prefix="dora-tests-"))
    folder.chmod(0o755)
    return folder


def destroy(home: Path) -> None:
    """Stop the server of a home and delete its data, wherever they are."""
    embedded.stop(home)
    with suppress(FileNotFoundError):
        shutil.rmtree(json.loads((home / "postgres.json").read_text()).get("folder", home))
        shutil.rmtree(home)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked long")


def pytest_configure(config: pytest.Config) -> None:
    """Name the server's folder once, for this process and every worker that it starts."""
    workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)
    if workerinput:
        config.stash[HOME] = Path(workerinput["dora_home"])
        return
    config.stash[HOME] = reachable_folder()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["dora_home"] = str(node.config.stash[HOME])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and HOME in config.stash:
        destroy(config.stash[HOME])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Embedded:
    """The embedded server of this test run, shared by its workers; it need not survive a crash."""
    server = embedded.start(request.config.stash[HOME])
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(1)")
        query = "select exists (select from pg_database where datname = %s)"
        if connection.execute(query, [TEMPLATE]).fetchone() == (False,):
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
            making = f"{TEMPLATE}_in_the_making"
            server.create_database(making)
            initialise(Database(server.url(making)))
            connection.execute(f"alter database {making} rename to {TEMPLATE}")
    return server


@pytest.fixture
def database(server: Embedded) -> Iterator[Database]:
    """A database of the test's own with schemas and roles in it, gone afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        yield Database(server.url(name))
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def homes() -> Iterator[Callable[[Path], Path]]:
    """Name the homes of servers that a test starts itself: they are destroyed at its end."""
    named: list[Path] = []

    def name(home: Path) -> Path:
        named.append(home)
        return home

    yield name
    for home in named:
        destroy(home)


@pytest.fixture
def home(homes: Callable[[Path], Path]) -> Iterator[Path]:
    """A home for a server of the test's own: not there yet, in a folder that everyone reaches."""
    folder = reachable_folder()
    yield homes(folder / "home")
    destroy(folder / "home")
    folder.rmdir()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is there that tests need, a skipped one is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
