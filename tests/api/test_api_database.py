import asyncio
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from api_support import ALL_KEY, ROWS, SOON, TABLES, Client, settings_for

import api.database
from api.app import create_app
from dora.errors import UnavailableError

VELOCITY = "/metrics/team/core/velocity"
PATHS = ["/health", "/teams", VELOCITY, "/metrics/team/core/lead-time"]
PATHS += ["/metrics/team/core/pull-requests", "/metrics/team/core/pull-requests?state=open"]


def ask(base: str, path: str = VELOCITY) -> httpx.Response:
    return httpx.get(base + path, headers={"X-API-Key": ALL_KEY}, timeout=30)


def assert_away(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["status"] == 503


def assert_back(base: str) -> None:
    """Wait until a request succeeds; the limit is long because the machine may be busy."""
    until = time.monotonic() + 30
    while (answer := ask(base)).status_code != 200:
        assert_away(answer)
        assert time.monotonic() < until


@pytest.mark.parametrize("path", PATHS)
def test_unreachable_database_returns_503(hurried, path):
    assert_away(Client(create_app(settings_for("postgresql://127.0.0.1:1/nowhere"))).get(path))


def test_app_starts_without_database_and_health_recovers(hurried, gate, serve):
    gate.close()
    base = serve(create_app(settings_for(gate.url)))
    assert_away(ask(base, "/health"))
    gate.open()
    assert_back(base)
    assert ask(base, "/health").json()["status"] == "ok"


def test_api_recovers_from_database_outage_without_restart(hurried, gate, serve):
    base = serve(create_app(settings_for(gate.url)))
    assert_back(base)
    with ThreadPoolExecutor(8) as several:
        gate.close()
        for _ in range(2):
            for answer in several.map(ask, [base] * 8):
                assert_away(answer)
        gate.open()
        assert_back(base)


def test_many_requests_fail_fast_during_database_outage(hurried, gate, serve):
    """If 96 requests waited for the timeouts of 4 threads in turn, they would take 24 `SOON`."""
    base = serve(create_app(settings_for(gate.url)))
    assert_back(base)
    gate.close()
    began = time.monotonic()
    with ThreadPoolExecutor(96) as many:
        for answer in many.map(ask, [base] * 96):
            assert_away(answer)
    assert time.monotonic() - began < 12 * SOON
    gate.open()
    assert_back(base)


def test_database_restart_between_queries_causes_no_error(gate):
    reader = api.database.Marts(lambda: gate.url)
    with ThreadPoolExecutor(8) as several:
        list(several.map(reader.rows, ["select pg_sleep(0.5)"] * 8))
        for _ in range(5):
            gate.close()
            gate.open()
            found = list(several.map(reader.rows, ["select 1 as one"] * 8))
            assert found == [[{"one": 1}]] * 8
    reader.close()


def test_hanging_database_returns_503_and_recovers(hurried, gate, serve):
    base = serve(create_app(settings_for(gate.url)))
    assert_back(base)
    gate.stick()
    assert_away(ask(base))
    gate.open()
    assert_back(base)


def test_database_hanging_during_query_raises_unavailable(gate, monkeypatch):
    reader = api.database.Marts(lambda: gate.url)
    assert reader.rows("select 1 as one") == [{"one": 1}]
    monkeypatch.setattr(api.database, "ANSWER_SECONDS", SOON)
    hang = threading.Timer(SOON / 5, gate.stick)
    hang.start()
    with pytest.raises(UnavailableError, match="unavailable"):
        reader.rows("select pg_sleep(%(seconds)s)", {"seconds": 2 * SOON / 5})
    hang.join()
    gate.open()
    monkeypatch.undo()
    assert reader.rows("select 1 as one") == [{"one": 1}]
    reader.close()


def test_slow_query_is_cancelled_by_the_server(marts, monkeypatch):
    monkeypatch.setattr(api.database, "STATEMENT_SECONDS", 0.1)
    reader = api.database.Marts(lambda: marts.url)
    with pytest.raises(UnavailableError, match="too slow"):
        reader.rows("select pg_sleep(20)")
    assert reader.rows("select 1 as one") == [{"one": 1}]
    reader.close()


def test_locked_table_returns_503_until_unlocked(marts, monkeypatch):
    monkeypatch.setattr(api.database, "STATEMENT_SECONDS", 0.1)
    client = Client(create_app(settings_for(marts.url)))
    with marts.owner.transaction():
        marts.run("lock table marts.fct_team_velocity_weekly in access exclusive mode")
        assert_away(client.get(VELOCITY))
    assert client.get(VELOCITY).status_code == 200


def test_reader_role_can_read_but_not_write(database, marts):
    reader = api.database.Marts(lambda: marts.url)
    assert reader.rows("select current_user::text as role") == [{"role": "dora_reader"}]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.rows("create temporary table note (line text)")
    reader.close()


def test_login_without_the_reader_role_reads_as_itself(database, marts, caplog):
    login = f"reader_{secrets.token_hex(6)}"
    url = urlsplit(marts.url)
    with database.connect(autocommit=True) as admin:
        admin.execute(f"create role {login} login password 'secret'")
        admin.execute(f"grant usage on schema marts to {login}")
        admin.execute(f"grant select on all tables in schema marts to {login}")
        own = url._replace(netloc=f"{login}:secret@{url.hostname}:{url.port}").geturl()
        reader = api.database.Marts(lambda: own)
        for _ in range(2):
            assert reader.rows("select current_user::text as role") == [{"role": login}]
        reader.close()
        admin.execute(f"drop owned by {login}; drop role {login}")
    assert "may not become dora_reader" in caplog.text


def test_missing_table_privilege_returns_503(client, marts, caplog):
    marts.run("revoke select on marts.dim_teams from dora_reader")
    assert_away(client.get("/teams"))
    assert "dim_teams" in caplog.text


def test_shutdown_closes_all_connections(marts):
    app = create_app(settings_for(marts.url))
    connections = (
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and application_name = 'dora-api'"
    )

    def count() -> tuple[int] | None:
        return marts.owner.execute(connections).fetchone()

    async def shut_down() -> None:
        async with app.router.lifespan_context(app):
            pass

    assert Client(app).get("/health").status_code == 200
    assert count() == (1,)
    asyncio.run(shut_down())
    until = time.monotonic() + 10
    while count() != (0,) and time.monotonic() < until:
        time.sleep(0.01)
    assert count() == (0,)


@pytest.mark.parametrize("path", PATHS[1:])
def test_missing_marts_return_503(bare, path):
    answer = Client(create_app(settings_for(bare.url))).get(path)
    assert_away(answer)
    assert "run `dora build`" in answer.json()["detail"]


@pytest.mark.parametrize("path", PATHS[1:])
def test_empty_dim_build_returns_503(client, marts, path):
    marts.run("delete from marts.dim_build")
    answer = client.get(path)
    assert_away(answer)
    assert "run `dora build`" in answer.json()["detail"]


def test_health_is_ok_before_and_after_the_first_build(bare):
    client = Client(create_app(settings_for(bare.url)))
    assert client.get("/health").json() == {"status": "ok", "as_of": None}
    bare.run(TABLES)
    assert client.get("/health").json() == {"status": "ok", "as_of": None}
    bare.run(ROWS)
    assert client.get("/health").json() == {"status": "ok", "as_of": "2026-01-20T00:00:00Z"}


def test_rebuild_during_requests_causes_no_error(marts, serve):
    """Replace a table as dbt does, each time with another type of a column."""
    base = serve(create_app(settings_for(marts.url)))
    done = threading.Event()

    def rebuild() -> None:
        for turn in range(60):
            kind = ("numeric", "double precision")[turn % 2]
            with marts.owner.transaction():
                marts.run(
                    "create table marts.velocity_new as select team_id, week, prs_merged,"
                    f" weighted_prs_merged::{kind}, avg_cycle_time_hours,"
                    " weighted_avg_cycle_time_hours, contributors, is_complete"
                    " from marts.fct_team_velocity_weekly;"
                    "grant select on marts.velocity_new to dora_reader;"
                    "alter table marts.fct_team_velocity_weekly rename to velocity_old;"
                    "alter table marts.velocity_new rename to fct_team_velocity_weekly;"
                )
            marts.run("drop table marts.velocity_old")
        done.set()

    expected = ask(base).json()
    builder = threading.Thread(target=rebuild)
    builder.start()
    answers = []
    while not done.is_set():
        answers.append(ask(base))
    builder.join()
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json() == expected for answer in answers)


def test_changed_column_type_causes_no_error(client, marts):
    for day in range(1, 10):
        if day == 5:
            table = "marts.fct_team_velocity_weekly"
            marts.run(f"alter table {table} alter prs_merged type numeric")
        assert client.get(VELOCITY, params={"from": f"2026-01-0{day}"}).status_code == 200
