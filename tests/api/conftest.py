import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from api_support import ROWS, SOON, TABLES, Client, Gate, Marts, settings_for
from fastapi import FastAPI

import api.database
from api.app import create_app
from dora.database import Database, initialise
from dora.embedded_postgres import Embedded
from tests.conftest import make_once

SHARED = "marts_of_tests"


@pytest.fixture
def bare(database: Database) -> Iterator[Marts]:
    """A database before the first `dbt build`."""
    with database.connect("dora_transform", autocommit=True) as owner:
        yield Marts(database.url, owner)


@pytest.fixture
def marts(bare: Marts) -> Marts:
    """The marts with the worked example of docs/metrics.md."""
    bare.run(TABLES)
    bare.run(ROWS)
    return bare


@pytest.fixture(scope="session")
def shared_marts(server: Embedded) -> Database:
    """The same marts, created once for all workers; tests must not change them."""

    def make(database: Database) -> None:
        initialise(database)
        with database.connect("dora_transform") as owner:
            owner.execute(TABLES.encode())
            owner.execute(ROWS.encode())

    make_once(server, SHARED, make)
    return Database(server.url(SHARED))


@pytest.fixture
def app(request: pytest.FixtureRequest, shared_marts: Database) -> Iterator[FastAPI]:
    """An app that reads the fixture `marts` if the test uses it, else the shared marts."""
    url = shared_marts.url
    if "marts" in request.fixturenames:
        url = request.getfixturevalue("marts").url
    app = create_app(settings_for(url))
    yield app
    app.state.marts.close()


@pytest.fixture
def client(app: FastAPI) -> Client:
    return Client(app)


@pytest.fixture
def anonymous(app: FastAPI) -> Client:
    return Client(app, key=None)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the database timeouts."""
    monkeypatch.setattr(api.database, "CONNECTION_SECONDS", SOON)
    monkeypatch.setattr(api.database, "ANSWER_SECONDS", SOON)


@pytest.fixture
def nowhere(hurried: None) -> FastAPI:
    """An app with an unreachable database: requests that need it return 503."""
    return create_app(settings_for("postgresql://127.0.0.1:1/nowhere"))


@pytest.fixture
def no_database(nowhere: FastAPI) -> Client:
    return Client(nowhere)


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Start apps as `dora serve` does, each on a separate port; return the URL of each."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: FastAPI) -> str:
        server = uvicorn.Server(uvicorn.Config(app, port=0))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def gate(marts: Marts) -> Iterator[Gate]:
    """A TCP proxy to the database of the marts."""
    gate = Gate(marts.url)
    yield gate
    gate.close()
