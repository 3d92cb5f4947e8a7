"""`dora teams diff` shows the effect of another configuration without changing anything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
import pytest
from dbt_support import EXAMPLE, ROOT, Row, Warehouse, pull_request
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import AdminShutdown

from cli.print_team_diff import print_diff, print_json
from cli.team_diff import Diff, diff_teams
from dora.database import Database
from dora.embedded_postgres import Embedded
from dora.errors import ConfigurationError
from dora.roles import TRANSFORM
from ingest.teams import parse_teams
from transform.temporary_schema import scratch_schema

VARIABLES = '{"reporting_timezone": "Europe/Berlin", "attribution_instant": "created_at"}'
# Ada has a higher weight in `core` and none in `web`, which is renamed. Eve, who is not in the
# marts yet, gets a team. `idle` has a window without merges.
OTHER = [
    {
        "id": "core",
        "name": "Core",
        "description": "Shared services",
        "members": [
            {"github_username": "ada", "allocation_weight": 0.75, "joined_at": "2026-01-01"},
        ],
    },
    {
        "id": "web",
        "name": "Website",
        "members": [{"github_username": "Bob", "joined_at": "2026-01-01"}],
    },
    {
        "id": "guests",
        "name": "Guests",
        "members": [{"github_username": "eve", "joined_at": "2025-12-31T23:00:00Z"}],
    },
    {
        "id": "idle",
        "name": "Idle",
        "members": [{"github_username": "bob", "joined_at": "2025-01-01", "left_at": "2025-02-01"}],
    },
]
SCRATCH: LiteralString = "select nspname from pg_namespace where nspname like 'dora_scratch%'"
EVERYTHING: LiteralString = """
    select relnamespace::regnamespace::text, relname, oid, relkind = 'r'
    from pg_class
    where relnamespace::regnamespace::text
        in ('raw', 'staging', 'intermediate', 'marts', 'snapshots')
    order by oid
"""
MARTS: dict[str, LiteralString] = {
    "velocity": "select * from marts.fct_team_velocity_weekly",
    "lead_time": "select * from marts.fct_team_lead_time_monthly",
    "pull_requests": """
        select team_id, repository, number, weight
        from marts.fct_team_pull_requests
        inner join marts.fct_pull_requests using (pull_request_id)
        where team_id <> 'unassigned'
    """,
}
KEYS = {
    "velocity": ("team_id", "week"),
    "lead_time": ("team_id", "month"),
    "pull_requests": ("team_id", "repository", "number"),
}


def run(warehouse: Warehouse, *arguments: str) -> None:
    warehouse.build(*arguments)


def marts(warehouse: Warehouse) -> dict[str, dict[Any, Row]]:
    return {
        mart: {
            tuple(str(row.pop(name)) for name in KEYS[mart]): row for row in warehouse.rows(query)
        }
        for mart, query in MARTS.items()
    }


def everything(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Every relation with its identity; tables of raw and marts also with their rows."""
    with warehouse.database.connect() as connection:
        relations = connection.execute(EVERYTHING).fetchall()
        return [
            (*relation, connection.execute(f"select * from {relation[0]}.{relation[1]}").fetchall())  # type: ignore[call-overload]
            if relation[0] in {"raw", "marts"} and relation[3]
            else relation
            for relation in relations
        ]


def scratch(database: Database) -> list[str]:
    with database.connect() as connection:
        return [name for (name,) in connection.execute(SCRATCH)]


NESTED = ("memberships", "groups")


@dataclass
class Tried:
    warehouse: Warehouse
    diff: Diff
    untouched: bool
    before: dict[str, dict[Any, Row]]
    after: dict[str, dict[Any, Row]]


@pytest.fixture(scope="module")
def tried(warehouse: Warehouse) -> Tried:
    """A diff, then a build with that configuration, with variables other than the defaults."""
    warehouse.insert(**EXAMPLE)
    warehouse.insert(
        pull_requests=[
            pull_request(5, "eve", "2026-01-11T13:30Z", "2026-01-11T23:30Z"),
            pull_request(6, "eve", "2026-01-14T00:00Z"),
        ]
    )
    run(warehouse, "--vars", VARIABLES)
    before, all_before = marts(warehouse), everything(warehouse)
    teams = parse_teams(json.dumps(OTHER))
    diff = diff_teams(warehouse.database, teams)
    untouched = everything(warehouse) == all_before
    with warehouse.database.connect("dora_ingest") as raw:
        raw.execute("truncate raw.teams, raw.team_memberships")
    rows = [team.row() for team in teams]
    warehouse.insert(
        teams=[{k: v for k, v in row.items() if k not in NESTED} for row in rows],
        team_memberships=[window for row in rows for window in row["memberships"]],
    )
    run(warehouse, "--vars", VARIABLES)
    return Tried(warehouse, diff, untouched, before, marts(warehouse))


def test_diff_equals_the_changes_of_the_following_build(
    tried: Tried, capsys: pytest.CaptureFixture[str]
) -> None:
    print_json(tried.diff)
    document = json.loads(capsys.readouterr().out)
    for mart, names in KEYS.items():
        before, after = tried.before[mart], tried.after[mart]
        changed = {
            key: [plain(rows.get(key)) for rows in (before, after)]
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
        }
        told = {
            tuple(str(value) for value in (team["team_id"], *map(row.get, names[1:]))): [
                row["before"],
                row["after"],
            ]
            for team in document["teams"]
            for row in team[mart]
        }
        assert len(changed) >= 2
        assert told == changed
    assert document["as_of"] == "2026-01-20T00:00:00Z"
    assert document["reporting_timezone"] == "Europe/Berlin"


def plain(row: Row | None) -> Any:
    """A row as in JSON; for a share, only the weight."""
    if row is None:
        return None
    written = json.loads(json.dumps(row, default=float))
    return written["weight"] if list(written) == ["weight"] else written


def test_diff_changes_nothing(tried: Tried) -> None:
    assert tried.untouched
    assert scratch(tried.warehouse.database) == []


def test_diff_is_printed_as_tables(tried: Tried, capsys: pytest.CaptureFixture[str]) -> None:
    print_diff(tried.diff, "other.json", limit=1)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 80
    for line in (
        "+ other.json",
        "  - web, Web",
        "  + web, Website",
        "  + core, ada, 0.75, 2026-01-01",
        "  + guests, eve, 1.00, 2025-12-31T23:00Z",
        "2026-01-05 -      1     0.50  24.0       24.0       1",
        "           +      1     0.75  24.0       24.0       1",
        "acme/shop#6  eve    open   - -> 1.00",
        "and 2 earlier ones; --limit 0 shows them all",
    ):
        assert line in lines
    assert lines[-1] == "(over all loaded data, up to 2026-01-20 00:00Z)"


def test_accounts_in_also_count_only_with_the_configuration_that_has_them(
    own_warehouse: Warehouse,
) -> None:
    """With `also` PR 4 is Ada's second merge of the week; before, it was in no team."""
    own_warehouse.insert(**EXAMPLE)
    run(own_warehouse)
    member = {"github_username": "ada", "also": ["eve"], "joined_at": "2026-01-01"}
    teams = parse_teams(json.dumps([{"id": "core", "name": "Core", "members": [member]}]))
    diff = diff_teams(own_warehouse.database, teams)
    (core,) = (team for team in diff.teams if team.team_id == "core")
    assert [
        (str(row["week"]), row["before"]["prs_merged"], row["after"]["prs_merged"])
        for row in core.velocity
    ] == [("2026-01-05", 1, 2)]
    (shown,) = (row for row in core.pull_requests if row["number"] == 4)
    assert (shown["before"], str(shown["after"])) == (None, "1.00")
    assert scratch(own_warehouse.database) == []


@pytest.fixture
def dora(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    def start(database: Database, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "cli", "teams", "diff", *arguments],
            env=os.environ
            | {"DB_URL": database.url, "DORA_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
            | more,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def written(folder: Path, teams: Any) -> str:
    path = folder / "teams.json"
    path.write_text(json.dumps(teams), "utf-8")
    return str(path)


def test_the_same_configuration_changes_nothing(
    tried: Tried, dora: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = dora(tried.warehouse.database, written(tmp_path, OTHER[::-1]))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said == (
        f"{tmp_path}/teams.json changes nothing: the marts were built with this configuration\n"
    )


def test_every_fault_is_reported_without_a_database(
    dora: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    bad = [{"name": "A", "members": [{"github_username": "x"}]}, {"name": "A", "members": []}]
    away = Database("postgresql://me@127.0.0.1:1/none")
    process = dora(away, written(tmp_path, bad), LOG_LEVEL="LOUD")
    said, complained = process.communicate(timeout=60)
    assert (process.returncode, said) == (2, "")
    assert [line[:6] for line in complained.splitlines()] == ["dora: "] * 3
    for fault in ("LOG_LEVEL", "joined_at: is missing", "2 teams have the id 'a'"):
        assert fault in complained


def test_an_empty_database_is_left_empty(
    server: Embedded, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{database.url.rpartition('/')[2]}_empty"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            empty = Database(server.url(name))
            diff = diff_teams(empty, parse_teams(json.dumps(OTHER)))
            with empty.connect() as inside:
                schemas = "select count(*) from pg_namespace where nspname in ('raw', 'marts')"
                assert inside.execute(schemas).fetchone() == (0,)
        finally:
            connection.execute(f"drop database {name} with (force)")
    print_diff(diff, "other.json", limit=0)
    assert capsys.readouterr().out.endswith("(no data for figures are loaded yet)\n")


@pytest.fixture(params=["raw.pull_requests"])
def stuck(
    request: pytest.FixtureRequest,
    own_warehouse: Warehouse,
    dora: Callable[..., "subprocess.Popen[str]"],
    tmp_path: Path,
) -> Iterator["subprocess.Popen[str]"]:
    """A diff that waits for a locked table: inside dbt, or before it for raw.teams."""
    own_warehouse.insert(**EXAMPLE)
    waiting = "select count(*) from pg_locks where locktype = 'relation' and not granted"
    with own_warehouse.database.connect() as holder, own_warehouse.database.connect() as watcher:
        watcher.autocommit = True
        holder.execute(f"lock table {request.param} in access exclusive mode")
        process = dora(own_warehouse.database, written(tmp_path, OTHER))
        deadline = time.monotonic() + 120
        while watcher.execute(waiting).fetchone() == (0,):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(scratch(own_warehouse.database)) == 1
        yield process
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("stuck", "number", "code"),
    [
        pytest.param("raw.pull_requests", signal.SIGINT, 130, id="Ctrl-C while dbt runs"),
        pytest.param("raw.teams", signal.SIGTERM, 143, id="terminated before"),
    ],
    indirect=["stuck"],
)
def test_stopped_diff_drops_its_schema_and_ends_its_children(
    stuck: "subprocess.Popen[str]", own_warehouse: Warehouse, number: int, code: int
) -> None:
    children = psutil.Process(stuck.pid).children(recursive=True)
    stuck.send_signal(number)
    _, complained = stuck.communicate(timeout=60)
    assert stuck.returncode == code
    assert "Traceback" not in complained
    assert scratch(own_warehouse.database) == []
    assert [child for child in children if is_alive(child)] == []


def test_a_statement_sent_after_ctrl_c_is_cancelled_too(
    own_warehouse: Warehouse, dora: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    """The model survives the first cancellation, like a statement that a dbt thread sends later."""
    own_warehouse.insert(**EXAMPLE)
    outlive: LiteralString = """
        create function outlive_one_cancellation() returns event_trigger language plpgsql as $$
        begin
            if current_query() like '%int_pull_requests_tracked%' then
                begin
                    perform pg_advisory_lock(1);
                exception when query_canceled then
                    perform pg_advisory_lock(1);
                end;
            end if;
        end $$;
        create event trigger outlive on ddl_command_start
        execute function outlive_one_cancellation()
    """
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with own_warehouse.database.connect(autocommit=True) as holder:
        holder.execute(outlive)
        holder.execute("select pg_advisory_lock(1)")
        process = dora(own_warehouse.database, written(tmp_path, OTHER))
        deadline = time.monotonic() + 120
        while holder.execute(waiting).fetchone() == (0,):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 130
    assert scratch(own_warehouse.database) == []


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs; a zombie does not."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("stuck", ["raw.teams"], indirect=True)
def test_schema_left_by_a_killed_diff_is_dropped_by_the_next(
    stuck: "subprocess.Popen[str]", own_warehouse: Warehouse
) -> None:
    (left,) = scratch(own_warehouse.database)
    stuck.kill()
    stuck.wait()
    deadline = time.monotonic() + 60
    # The server needs some time to detect that the session has ended.
    while left in scratch(own_warehouse.database):
        assert time.monotonic() < deadline
        with scratch_schema(own_warehouse.database) as schema:
            assert schema in scratch(own_warehouse.database)


def test_scratch_schemas_in_use_leave_each_other_alone(database: Database) -> None:
    with scratch_schema(database) as one, scratch_schema(database) as other:
        assert sorted(scratch(database)) == sorted([one, other])
    assert scratch(database) == []


def test_open_session_does_not_block_dropping_the_scratch_schema(database: Database) -> None:
    with database.connect(autocommit=True) as connection:
        # A failure instead of a hang if it does.
        name = connection.info.dbname
        connection.execute(f"alter database {name} set lock_timeout = '20s'")  # type: ignore[call-overload]
    with closing(database.connect(TRANSFORM)) as session:
        with scratch_schema(database) as schema:
            session.execute(f"create table {schema}.half_done (id int)")  # type: ignore[call-overload]
        assert scratch(database) == []
        with pytest.raises(AdminShutdown):
            session.execute("select 1")


def test_login_that_may_not_create_a_schema_gets_the_grant_to_run(database: Database) -> None:
    with database.connect(autocommit=True) as connection:
        connection.execute("drop role if exists dora_test_guest")
        connection.execute("create role dora_test_guest login password 'guest'")
        parts = conninfo_to_dict(database.url) | {"user": "dora_test_guest", "password": "guest"}
        guest = Database("postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parts))
        try:
            refused = pytest.raises(ConfigurationError, match="grant create on database")
            with refused, scratch_schema(guest):
                pass
        finally:
            connection.execute("drop role dora_test_guest")
