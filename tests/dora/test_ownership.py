"""A database that others use too: their objects stay unchanged."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dora.database import Database, initialise
from dora.embedded_postgres import Embedded
from dora.errors import ConfigurationError
from dora.ownership import RAW_TABLES
from dora.roles import OWNERS, READER, ROLES, TRANSFORM
from dora.schemas import Schemas
from dora.settings import load_settings
from ingest.lock import Lock
from ingest.pipeline import make_tables
from ingest.tables import TABLES
from transform import dbt_runner
from transform.dbt_runner import LOCK

# The owners and rights of all objects in the database, and our roles.
CATALOGUE = """
select 'schema', nspname, nspowner::regrole::text, nspacl::text
from pg_namespace where nspname !~ '^pg_(toast|temp)'
union all
select relkind::text, relnamespace::regnamespace || '.' || relname, relowner::regrole::text,
    relacl::text
from pg_class where relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
union all
select 'default', defaclnamespace::regnamespace::text, defaclrole::regrole::text, defaclacl::text
from pg_default_acl
union all
select 'database', datname, datdba::regrole::text, datacl::text
from pg_database where datname = current_database()
union all
select 'role', rolname, '', '' from pg_roles where rolname ~ '(ingest|transform|reader)$'
order by 1, 2
"""


def run(database: Database, statement: str, role: str | None = None) -> list[tuple[Any, ...]]:
    with database.connect(role) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def warehouse(server: Embedded) -> Iterator[Database]:
    """An empty database of a company, with a superuser's login."""
    name = f"warehouse_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        yield Database(server.url(name))
        connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def make_login(warehouse: Database) -> Iterator[Callable[..., Database]]:
    """Make a login, optionally with attributes, that may create schemas in the warehouse."""
    made = []

    def make(attributes: str = "") -> Database:
        parts = conninfo_to_dict(warehouse.url)
        login, name = f"etl_{secrets.token_hex(4)}", parts["dbname"]
        made.append(login)
        run(warehouse, f"create role {login} login password 'secret' {attributes}")
        run(warehouse, f"grant create on database {name} to {login}")
        return Database(f"postgresql://{login}:secret@{parts['host']}:{parts['port']}/{name}")

    yield make
    for login in made:
        run(warehouse, f"drop owned by {login} cascade; drop role {login}")


def login_of(database: Database) -> str:
    return str(conninfo_to_dict(database.url)["user"])


def refused(database: Database) -> str:
    """The error of `initialise`, which must change nothing."""
    before = run(database, CATALOGUE)
    with pytest.raises(ConfigurationError) as refusal:
        initialise(database)
    assert run(database, CATALOGUE) == before
    assert "DORA_SCHEMA_PREFIX" in str(refusal.value)
    return str(refusal.value)


def test_raw_tables_list_every_table_of_the_ingest_and_of_the_digest() -> None:
    assert TABLES.keys() | {"digests"} == RAW_TABLES


@pytest.mark.parametrize("schema", OWNERS)
def test_schema_of_another_owner_is_refused_and_its_objects_are_named(
    warehouse: Database, make_login: Callable[..., Database], schema: str
) -> None:
    etl = login_of(make_login())
    run(warehouse, f"create schema {schema} authorization {etl}")
    run(warehouse, f"create table {schema}.t (x int); create view {schema}.v as select 1")
    run(warehouse, f"create function {schema}.f() returns int return 1")
    run(warehouse, f"create type {schema}.colour as enum ('red')")
    said = refused(warehouse)
    for stranger in (
        f"schema {schema} (owner {etl})",
        f"table {schema}.t (owner dora)",
        f"view {schema}.v (owner dora)",
        f"function {schema}.f (owner dora)",
        f"type {schema}.colour (owner dora)",
    ):
        assert stranger in said


@pytest.mark.parametrize("attributes", ["", "createrole"])
@pytest.mark.parametrize("table", ["marts.orders", "marts.dim_teams", "raw.pull_requests"])
def test_other_tables_of_the_login_are_refused(
    make_login: Callable[..., Database], attributes: str, table: str
) -> None:
    database = make_login(attributes)
    schema = table.partition(".")[0]
    run(database, f"create schema {schema}; grant usage on schema {schema} to public")
    run(database, f"create table {table} (x int); grant select on {table} to public")
    assert f"table {table} (owner {login_of(database)})" in refused(database)


def test_foreign_table_in_an_installation_is_refused(
    warehouse: Database, make_login: Callable[..., Database]
) -> None:
    initialise(warehouse)
    etl = login_of(make_login())
    run(warehouse, "create table marts.orders (x int)")
    assert initialise(warehouse) == []
    run(warehouse, f"alter table marts.orders owner to {etl}")
    assert f"table marts.orders (owner {etl})" in refused(warehouse)


def test_only_20_foreign_objects_are_named_and_the_rest_counted(warehouse: Database) -> None:
    run(warehouse, "create schema marts")
    run(warehouse, ";".join(f"create table marts.t_{number} (x int)" for number in range(25)))
    said = refused(warehouse)
    assert said.count("table marts.t_") == 20
    assert "and 5 more" in said


def test_login_without_roles_does_not_change_other_tables(
    make_login: Callable[..., Database], tmp_path: Path
) -> None:
    database = make_login()
    initialise(database)
    make_tables(database, tmp_path)
    run(database, "create table marts.orders (x int); grant select on marts.orders to public")
    run(database, "create table marts.dim_teams (x int); grant select on marts.dim_teams to public")
    initialise(database)
    rights = "select relname::text, relacl::text like '%,=r/%' from pg_class"
    rights += " where relnamespace = 'marts'::regnamespace order by 1"
    assert run(database, rights) == [("dim_teams", False), ("orders", True)]


def test_interrupted_first_run_can_continue(make_login: Callable[..., Database]) -> None:
    database = make_login()
    run(database, "create schema raw; create table raw._dlt_version (version bigint)")
    initialise(database)
    initialise(database)


def test_empty_schemas_that_were_made_for_the_login_are_used(
    warehouse: Database, make_login: Callable[..., Database]
) -> None:
    database = make_login()
    for schema in OWNERS:
        run(warehouse, f"create schema {schema} authorization {login_of(database)}")
    name = conninfo_to_dict(warehouse.url)["dbname"]
    run(warehouse, f"revoke create on database {name} from {login_of(database)}")
    initialise(database)


def test_missing_grant_rights_are_reported_with_the_statement(
    warehouse: Database, make_login: Callable[..., Database]
) -> None:
    name = conninfo_to_dict(warehouse.url)["dbname"]
    run(warehouse, f"revoke temporary on database {name} from public")
    database = make_login()
    run(warehouse, f"grant dora_ingest, dora_transform, dora_reader to {login_of(database)}")
    notes = initialise(database)
    grants = [f"grant connect, temporary on database {name} to {role}" for role in ROLES[:2]]
    assert [note.partition(": ")[2] for note in notes] == grants


def test_every_command_refuses_a_foreign_table_and_changes_nothing(
    warehouse: Database, tmp_path: Path
) -> None:
    run(warehouse, "create schema marts; create table marts.orders (x int)")
    before = run(warehouse, CATALOGUE)
    settings = {
        "DB_URL": warehouse.url,
        "DORA_HOME": str(tmp_path / "home"),
        "GITHUB_PAT": "token",
        "GITHUB_API_URL": "http://127.0.0.1:1",
        "REPOSITORIES": "acme/web",
        "TEAM_CONFIG_JSON": '[{"name": "Core", "members": [{"github_username": "ada", '
        '"joined_at": "2026-01-01"}]}]',
    }
    for command in (["db", "init"], ["ingest"], ["build"]):
        done = subprocess.run(
            [sys.executable, "-m", "cli", *command],
            env=os.environ | settings,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "table marts.orders (owner dora)" in done.stderr
        assert "Traceback" not in done.stderr
        assert run(warehouse, CATALOGUE) == before


def test_installations_with_and_without_a_prefix_share_nothing(
    warehouse: Database, make_login: Callable[..., Database], tmp_path: Path
) -> None:
    plain, prefixed = warehouse, Database(warehouse.url, Schemas("dora_"))
    for database in (plain, prefixed):
        assert initialise(database) == []
        make_tables(database, tmp_path)
        run(database, f"create table {database.schemas.marts}.dim_teams (x int)", TRANSFORM)
        assert run(database, "select current_user::text", READER) == [
            (f"{database.schemas.prefix}{READER}",)
        ]
    owners = dict(run(warehouse, "select nspname::text, nspowner::regrole::text from pg_namespace"))
    assert owners.items() >= plain.schemas.owners.items() | prefixed.schemas.owners.items()
    for database, others in ((plain, "dora_marts"), (prefixed, "marts")):
        for role in ROLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run(database, f"select * from {others}.dim_teams", role)
    for database in (plain, prefixed):
        assert initialise(database) == []


def test_runs_of_two_installations_do_not_wait_for_each_other(warehouse: Database) -> None:
    prefixed = Database(warehouse.url, Schemas("dora_"))
    assert Schemas().lock(LOCK) == LOCK
    with Lock(warehouse) as one, Lock(prefixed) as other, Lock(prefixed) as third:
        assert (one.is_held, other.is_held, third.is_held) == (True, True, False)


def test_parsed_project_is_not_used_with_a_prefix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parsed = tmp_path / "parsed.msgpack"
    parsed.write_bytes(b"not a manifest")
    monkeypatch.setattr(dbt_runner, "PARSED", parsed)
    monkeypatch.setenv("PGDATABASE", dbt_runner.PARSED_FOR)
    monkeypatch.setenv("DORA_SCHEMA_PREFIX", "dora_")
    assert dbt_runner._parsed() is None
    monkeypatch.setenv("DORA_SCHEMA_PREFIX", "")
    with pytest.raises(ValueError, match="extra data"):
        dbt_runner._parsed()


@pytest.mark.parametrize("prefix", ["Dora_", "1_", "dora-", "d" * 41, "pg_dora_", 'x"; --', "é"])
def test_a_prefix_that_cannot_begin_a_name_is_refused(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DORA_SCHEMA_PREFIX", prefix)
    with pytest.raises(ConfigurationError, match="DORA_SCHEMA_PREFIX"):
        load_settings()


@pytest.mark.parametrize("prefix", ["_", "a__b_", "d" * 40])
def test_valid_prefix_works_for_all_schemas_and_roles(
    warehouse: Database, prefix: str, tmp_path: Path
) -> None:
    database = Database(warehouse.url, Schemas(prefix))
    assert initialise(database) == []
    make_tables(database, tmp_path)
    schemas = run(warehouse, "select nspname::text from pg_namespace where nspname !~ '^(pg|info)'")
    assert {name for (name,) in schemas} == {*database.schemas.owners, "public"}
    with psycopg.connect(warehouse.url) as connection:
        for role in database.schemas.roles:
            connection.execute(f"drop owned by {role} cascade; drop role {role}".encode())


def weeks_of(database: Database) -> list[tuple[Any, ...]]:
    """A week as a BI tool computes it."""
    return as_a_tool(database, "select date_trunc('week', week)::text from marts.weeks")


def as_a_tool(database: Database, query: LiteralString) -> list[tuple[Any, ...]]:
    """The result for a tool that does not use our session settings."""
    with psycopg.connect(database.url) as connection:
        return connection.execute(query).fetchall()


def test_reader_login_gets_the_time_zone_utc(
    warehouse: Database, make_login: Callable[..., Database]
) -> None:
    initialise(warehouse)
    run(warehouse, "create table marts.weeks as select date '2026-06-22' as week", TRANSFORM)
    name = conninfo_to_dict(warehouse.url)["dbname"]
    run(warehouse, f"alter database {name} set timezone = 'Asia/Tokyo'")
    reader, other, own = make_login(), make_login(), make_login()
    for database in (reader, other, own):
        run(warehouse, f"grant dora_reader to {login_of(database)}")
    # A login with another role too, and one with a time zone set, keep their time zones.
    run(warehouse, f"grant pg_monitor to {login_of(other)}")
    run(warehouse, f"alter role {login_of(own)} set timezone = 'Asia/Seoul'")
    assert weeks_of(reader) == [("2026-06-22 00:00:00+09",)]
    assert initialise(warehouse) == []
    assert weeks_of(reader) == [("2026-06-22 00:00:00+00",)]
    for database, zone in ((reader, "UTC"), (other, "Asia/Tokyo"), (own, "Asia/Seoul")):
        assert as_a_tool(database, "show timezone") == [(zone,)]


def test_missing_right_to_set_a_time_zone_is_reported_with_the_statement(
    warehouse: Database, make_login: Callable[..., Database]
) -> None:
    initialise(warehouse)
    reader, database = make_login(), make_login()
    run(warehouse, f"grant dora_reader to {login_of(reader)}")
    run(warehouse, f"grant dora_ingest, dora_transform, dora_reader to {login_of(database)}")
    (note,) = initialise(database)
    statement = note.rpartition(": ")[2]
    assert login_of(reader) in statement
    run(warehouse, statement)
    assert initialise(database) == []
