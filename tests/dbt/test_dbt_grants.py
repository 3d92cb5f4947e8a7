"""What a login made by README's recipe may do: read the marts, and nothing else."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dbt_support import EXAMPLE, ROOT, Warehouse, create_raw
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from dora import embedded_postgres
from dora.database import Database, initialise
from dora.roles import READER, TRANSFORM

SELECTED = """
select
    nspname || '.' || relname,
    nspname
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
where nspname !~ '^pg_|^information_schema$' and relkind in ('r', 'v', 'm', 'p', 'S')
"""


def made_by_the_readme(database: Database, login: str) -> Database:
    """A login as README has a BI tool's made, under another name."""
    text = (ROOT / "README.md").read_text("utf-8")
    (recipe,) = re.findall(r"^create role metabase login .*;$", text, re.MULTILINE)
    statement = recipe.replace("metabase", login).replace("…", "secret")
    with database.connect() as connection:
        connection.execute(statement)
    parts = conninfo_to_dict(database.url)
    where = f"{parts['host']}:{parts['port']}/{parts['dbname']}"
    return Database(f"postgresql://{login}:secret@{where}")


@pytest.fixture(scope="module")
def metabase(warehouse: Warehouse) -> Iterator[Database]:
    """The login, on marts that a build has made and another has replaced.

    What `dora db init` granted is taken back first: dbt alone has to let the reader in.
    """
    login = f"metabase_{secrets.token_hex(4)}"
    reader = made_by_the_readme(warehouse.database, login)
    with warehouse.database.connect() as connection:
        connection.execute(f"revoke usage on schema marts from {READER}")
        connection.execute(
            f"alter default privileges for role {TRANSFORM} in schema marts "
            f"revoke select on tables from {READER}"
        )
    warehouse.insert(**EXAMPLE)
    warehouse.build()
    warehouse.build("--full-refresh")
    yield reader
    with warehouse.database.connect() as connection:
        connection.execute(f"drop owned by {login}; drop role {login}")


def relations(warehouse: Warehouse) -> dict[str, str]:
    """Every relation of the database, with its schema."""
    with warehouse.database.connect() as connection:
        return dict(connection.execute(SELECTED).fetchall())


def refused(connection: psycopg.Connection[Any], statement: str) -> bool:
    """Whether it is the login's rights that a statement fails for."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL(statement))
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
        return True
    return False


def test_it_reads_every_mart_and_nothing_of_any_other_schema(
    warehouse: Warehouse, metabase: Database
) -> None:
    found = relations(warehouse)
    assert {"raw", "staging", "intermediate", "marts"} <= set(found.values())
    assert sum(schema == "marts" for schema in found.values()) >= 7
    with metabase.connect() as connection:
        readable = {name for name in found if not refused(connection, f"select from {name}")}
    assert readable == {name for name, schema in found.items() if schema == "marts"}


def test_it_changes_nothing_in_a_mart(warehouse: Warehouse, metabase: Database) -> None:
    marts = [name for name, schema in relations(warehouse).items() if schema == "marts"]
    statements = [
        "insert into {} default values",
        "delete from {}",
        "truncate {}",
        "drop table {}",
        "lock table {} in share row exclusive mode",
        "select * from {} for update",
        "alter table {} add a int",
        "comment on table {} is 'mine'",
        "create trigger mine before insert on {} execute function suppress_redundant_updates()",
        "create index on {} ((1))",
        "create rule mine as on insert to {} do nothing",
    ]
    with metabase.connect() as connection:
        allowed = [
            statement.format(name)
            for name in marts
            for statement in statements
            if not refused(connection, statement.format(name))
        ]
    assert allowed == []


@pytest.mark.parametrize("schema", ["raw", "staging", "intermediate", "marts", "public"])
def test_it_makes_nothing_in_any_schema(metabase: Database, schema: str) -> None:
    statements = [
        f"create table {schema}.mine (a int)",
        f"create view {schema}.mine as select 1 as a",
        f"create materialized view {schema}.mine as select 1 as a",
        f"create sequence {schema}.mine",
        f"create function {schema}.mine() returns int language sql as 'select 1'",
        f"drop schema {schema} cascade",
    ]
    with metabase.connect() as connection:
        assert [statement for statement in statements if not refused(connection, statement)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "create schema mine",
        "create role mine",
        f"set role {TRANSFORM}",
        f"alter role {READER} createrole",
        "copy marts.dim_teams to '/tmp/teams'",
        "copy marts.dim_teams to program 'true'",
        "select pg_read_file('/etc/passwd')",
        "update pg_class set relname = relname",
    ],
)
def test_it_does_nothing_else(metabase: Database, statement: str) -> None:
    with metabase.connect() as connection:
        assert refused(connection, statement)


def test_a_temporary_table_is_its_own_affair(metabase: Database) -> None:
    with metabase.connect() as connection:
        connection.execute("create temporary table mine as select * from marts.dim_teams")
        assert connection.execute("select count(*) from mine").fetchone() == (2,)


def test_what_everybody_was_granted_is_taken_back(warehouse: Warehouse, metabase: Database) -> None:
    warehouse.execute("grant select on marts.dim_teams to public")
    assert warehouse.dbt("run", "--select", "dim_teams") == {"dim_teams": "success"}
    with warehouse.database.connect() as connection:
        granted = connection.execute(
            "select grantee from information_schema.role_table_grants"
            " where table_schema = 'marts' and table_name = 'dim_teams' and grantee <> %s",
            [TRANSFORM],
        ).fetchall()
    assert granted == [(READER,)]


def test_a_build_needs_no_roles(home: Path, target: Path) -> None:
    """Nobody has made any on this server, and the login may not."""
    server = embedded_postgres.start(home)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create role analyst login password 'secret'")
        connection.execute("create database own owner analyst")
    parts = conninfo_to_dict(server.url())
    database = Database(f"postgresql://analyst:secret@{parts['host']}:{parts['port']}/own")
    assert initialise(database) != []
    database.expect_no_roles()
    warehouse = Warehouse(database, target)
    with database.connect() as connection:
        create_raw(connection)
    warehouse.build()
    assert warehouse.dbt("run", "--select", "dim_teams") == {"dim_teams": "success"}
    with database.connect() as connection:
        grantees = connection.execute(
            "select distinct grantee from information_schema.role_table_grants"
            " where table_schema = 'marts'"
        ).fetchall()
    assert grantees == [("analyst",)]
