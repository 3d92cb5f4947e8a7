"""With a pooler in transaction mode the API works; commands that need a session refuse it."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sessions_support import Command, Pooler, Server

from api.app import create_app
from dora.api_keys import new_key
from dora.database import Database, initialise
from dora.roles import TRANSFORM
from dora.settings import Settings
from tests.api.api_support import ROWS, TABLES

VELOCITY = "/metrics/team/core/velocity"
# State that a client could leave to the next one on the same server connection.
STATE = """
select
    current_user::text,
    current_setting('search_path'),
    current_setting('statement_timeout'),
    current_setting('lock_timeout'),
    current_setting('default_transaction_read_only'),
    current_setting('transaction_read_only'),
    (select count(*) from pg_locks where locktype = 'advisory'),
    (select count(*) from pg_prepared_statements)
"""


@pytest.fixture
def marts(oldest: Server, name: str) -> Database:
    """The small marts of the API's tests, through a direct connection."""
    database = Database(oldest.url(name))
    initialise(database)
    with database.connect(TRANSFORM) as connection:
        connection.execute(TABLES)
        connection.execute(ROWS)
    return database


@pytest.fixture
def client(marts: Database, name: str, pooler: Pooler) -> Iterator[TestClient]:
    key, entry = new_key("all")
    url, keys = SecretStr(pooler.url(name)), SecretStr(json.dumps([entry]))
    app = create_app(Settings(_env_file=None, db_url=url, api_keys=keys))
    with TestClient(app, headers={"X-API-Key": key}) as client:
        yield client


def state(pooler: Pooler, name: str) -> tuple[object, ...] | None:
    with psycopg.connect(pooler.url(name), autocommit=True, prepare_threshold=None) as other:
        return other.execute(STATE).fetchone()


def test_api_answers_through_a_pooler_and_leaves_no_state_on_its_connections(
    client: TestClient, marts: Database, name: str, pooler: Pooler
) -> None:
    before = state(pooler, name)
    for _ in range(10):
        answer = client.get(VELOCITY)
        assert answer.status_code == 200, answer.text
        assert client.get("/metrics/team/nobody/velocity").status_code == 404
        assert state(pooler, name) == before
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get(VELOCITY, headers=known).status_code == 304
    assert state(pooler, name) == before


def test_api_uses_the_reader_role_on_a_reused_connection(
    client: TestClient, marts: Database, name: str, pooler: Pooler
) -> None:
    with marts.connect(TRANSFORM) as connection:
        connection.execute("revoke select on marts.dim_teams from dora_reader")
    with psycopg.connect(pooler.url(name), autocommit=True) as other:
        other.execute("set role dora_transform; set statement_timeout = 1; set search_path = ''")
    assert client.get("/teams").status_code == 503
    with marts.connect(TRANSFORM) as connection:
        connection.execute("grant select on marts.dim_teams to dora_reader")
    assert client.get("/teams").status_code == 200


@pytest.mark.parametrize("command", [["db", "init"], ["ingest"], ["build"]], ids=" ".join)
def test_command_that_needs_a_session_refuses_a_pooler(
    dora: Command,
    oldest: Server,
    name: str,
    pooler: Pooler,
    command: list[str],
) -> None:
    before = state(pooler, name)
    done = dora(*command, DB_URL=pooler.url(name))
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert "needs a dedicated session" in line
    assert "connect to Postgres directly, not through a pooler in transaction mode" in line
    assert state(pooler, name) == before
    assert oldest.run("select nspname from pg_namespace where nspname = 'raw'", name) == []


@pytest.mark.parametrize("pooler", [{"pool_mode": "session"}], ids=["session mode"], indirect=True)
def test_pooler_in_session_mode_that_rejects_options_is_refused(
    dora: Command, name: str, pooler: Pooler
) -> None:
    done = dora("db", "init", DB_URL=pooler.url(name))
    assert done.returncode == 2
    assert "unsupported startup parameter" in done.stderr


def test_wrong_password_through_a_pooler_is_reported_as_such(
    dora: Command, name: str, pooler: Pooler
) -> None:
    url = f"postgresql://dora:wrong@127.0.0.1:{pooler.port}/{name}"
    done = dora("db", "init", DB_URL=url)
    assert done.returncode == 2
    assert "refuses the login" in done.stderr
    assert "dedicated session" not in done.stderr
