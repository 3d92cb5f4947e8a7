"""A login created as docs/bi.md describes can read the marts and nothing else."""

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


def made_as_documented(database: Database, login: str) -> Database:
    """The login that docs/bi.md describes, with another name."""
    text = (ROOT / "docs" / "bi.md").read_text("utf-8")
    (recipe,) = re.findall(r"^create role metabase login .*;$", text, re.MULTILINE)
    statement = recipe.replace("metabase", login).replace("…", "secret")
    with database.connect() as connection:
        connection.execute(statement)
    parts = conninfo_to_dict(database.url)
    where = f"{parts['host']}:{parts['port']}/{parts['dbname']}"
    return Database(f"postgresql://{login}:secret@{where}")


@pytest.fixture(scope="module")
def metabase(warehouse: Warehouse) -> Iterator[Database]:
    """The login, after a build and a full refresh of the marts.

    The grants of `dora db init` are revoked first, so that only dbt's grants count.
    """
    login = f"metabase_{secrets.token_hex(4)}"
    reader = made_as_documented(warehouse.database, login)
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
    """Whether a statement fails because the login lacks a privilege."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL(statement))
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
        return True
    return False


def test_login_reads_every_mart_and_no_other_schema(
    warehouse: Warehouse, metabase: Database
) -> None:
    found = relations(warehouse)
    assert {"raw", "staging", "intermediate", "marts"} <= set(found.values())
    assert sum(schema == "marts" for schema in found.values()) >= 7
    with metabase.connect() as connection:
        readable = {name for name in found if not refused(connection, f"select from {name}")}
    assert readable == {name for name, schema in found.items() if schema == "marts"}


def test_login_cannot_change_a_mart(warehouse: Warehouse, metabase: Database) -> None:
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
def test_login_cannot_create_anything_in_a_schema(metabase: Database, schema: str) -> None:
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
def test_login_is_refused_any_other_statement(metabase: Database, statement: str) -> None:
    with metabase.connect() as connection:
        assert refused(connection, statement)


def test_login_can_create_a_temporary_table(metabase: Database) -> None:
    with metabase.connect() as connection:
        connection.execute("create temporary table mine as select * from marts.dim_teams")
        assert connection.execute("select count(*) from mine").fetchone() == (2,)


def test_grant_to_public_is_revoked_by_a_build(warehouse: Warehouse, metabase: Database) -> None:
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
    """The roles do not exist on this server, and the login may not create them."""
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
