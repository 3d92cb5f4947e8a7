"""An upgraded database of the last release gets the same marts as a new one and keeps its views."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.github import GitHub
from demo.server import TOKEN, serve
from dora.database import Database
from dora.embedded_postgres import Embedded
from dora.embedded_postgres.location import installed_programs

RELEASE = Path(__file__).parents[1] / "fixtures" / "landed_release.sql"
# The tables to compare; not the snapshots, whose times differ from build to build.
MARTS = "select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind = 'r'"
COLUMNS = """
select relname, attname, format_type(atttypid, atttypmod), attnotnull, col_description(oid, attnum)
from pg_attribute
inner join pg_class on attrelid = oid
where relnamespace = 'marts'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
order by 1, 2
"""
CONSTRAINTS = """
select conrelid::regclass::text, contype::text, pg_get_constraintdef(oid)
from pg_constraint
where connamespace = 'marts'::regnamespace and contype in ('p', 'f', 'u', 'c')
order by 1, 2, 3
"""
TABLES = """
select relname, relreplident::text, relpersistence::text, relacl::text, obj_description(oid)
from pg_class where relnamespace = 'marts'::regnamespace and relkind = 'r' order by 1
"""
INDEXES = """
select tablename, regexp_replace(indexdef, 'INDEX \\S+', 'INDEX')
from pg_indexes where schemaname = 'marts' order by 1, 2
"""
VIEWS = """
select relname, oid::bigint from pg_class
where relnamespace = 'reports'::regnamespace order by relname
"""
# Columns that differ between two builds of the same rows.
BUILD_ONLY = {"build_id", "built_at"}


@contextmanager
def new_database(server: Embedded) -> Iterator[Database]:
    name = f"upgrade_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        yield Database(server.url(name))
        connection.execute(f"drop database {name} with (force)".encode())


def fetch(database: Database, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url) as connection:
        return connection.execute(query.encode()).fetchall()


def execute(database: Database, statement: str) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute(statement.encode())


def dora(database: Database, home: Path, *arguments: str, **variables: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=os.environ | {"DB_URL": database.url, "DORA_HOME": str(home)} | variables,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def figures(database: Database, table: str) -> list[dict[str, Any]]:
    """The sorted rows of a table, without the columns that differ between builds."""
    rows = fetch(database, f"select to_jsonb(found) from {table} as found")
    return sorted(
        ({name: value for name, value in row.items() if name not in BUILD_ONLY} for (row,) in rows),
        key=lambda row: json.dumps(row, sort_keys=True),
    )


@pytest.fixture
def released(server: Embedded) -> Iterator[Database]:
    """A database of the last release, with another user's view on each of its marts."""
    with new_database(server) as database:
        psql = [str(installed_programs() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        restore = [*psql, "-1", "-f", str(RELEASE), database.url]
        subprocess.run(restore, check=True, capture_output=True)
        execute(database, "create schema reports")
        for (mart,) in fetch(database, MARTS):
            execute(database, f"create view reports.{mart} as select * from marts.{mart}")
        yield database


@pytest.fixture
def new(server: Embedded, released: Database) -> Iterator[Database]:
    """A database with the same rows in `raw`, without any build."""
    with new_database(server) as database:
        dump = [str(installed_programs() / "pg_dump"), "--schema=raw", released.url]
        raw = subprocess.run(dump, check=True, capture_output=True).stdout
        psql = [str(installed_programs() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        subprocess.run([*psql, database.url], input=raw, check=True, capture_output=True)
        yield database


def test_first_ingest_after_an_upgrade_succeeds(released: Database, tmp_path: Path) -> None:
    """dlt's record of the tables comes from the release, too, without new columns."""
    github = GitHub()
    repository = github.create_repository("acme/other", "2026-03-01T00:00:00Z")
    github.add_pull_request(repository, "2026-03-02T00:00:00Z", "ada")
    window = {"github_username": "ada", "also": ["ada_acme"], "joined_at": "2026-01-01"}
    variables = {
        "GITHUB_PAT": TOKEN,
        "REPOSITORIES": "acme/other",
        "TEAM_CONFIG_JSON": json.dumps([{"name": "Core", "members": [window]}]),
    }
    with serve(github) as hub:
        dora(released, tmp_path, "ingest", GITHUB_API_URL=hub.url, **variables)
    assert fetch(released, "select also from raw.team_memberships") == [("ada_acme",)]
    assert fetch(released, "select count(*) from raw.pull_requests") == [(31,)]


def test_build_after_an_upgrade_equals_a_first_build(
    released: Database, new: Database, tmp_path: Path
) -> None:
    views = fetch(released, VIEWS)
    before = {view: figures(released, f"reports.{view}") for view, _ in views}
    assert len(before) == 7
    assert all(before.values())
    for database in (released, new):
        dora(database, tmp_path, "db", "init")
        dora(database, tmp_path, "build")
    marts = sorted(mart for (mart,) in fetch(new, MARTS))
    assert sorted(mart for (mart,) in fetch(released, MARTS)) == marts
    for mart in marts:
        assert figures(released, f"marts.{mart}") == figures(new, f"marts.{mart}"), mart
    for query in (COLUMNS, CONSTRAINTS, TABLES, INDEXES):
        assert fetch(released, query) == fetch(new, query)
    assert fetch(released, VIEWS) == views
    for view in before:
        columns = before[view][0].keys()
        shown = [{name: row[name] for name in columns} for row in figures(new, f"marts.{view}")]
        for row in shown:
            assert row in figures(released, f"reports.{view}")


def test_build_after_an_upgrade_continues_snapshots(released: Database, tmp_path: Path) -> None:
    """If a snapshot gets a column, dbt ends every span and starts a new one."""
    # dbt's columns of a span, except its beginning.
    ignored = {"dbt_scd_id", "dbt_updated_at", "dbt_valid_to"}

    def spans() -> dict[str, list[dict[str, Any]]]:
        return {
            name: [
                {column: value for column, value in row.items() if column not in ignored}
                for row in figures(released, f"snapshots.{name}")
            ]
            for name in ("snap_teams", "snap_team_memberships")
        }

    def believed() -> int:
        query = "select count(*) from snapshots.snap_team_memberships where dbt_valid_to is null"
        return int(fetch(released, query)[0][0])

    before = spans()
    assert believed() == 6
    dora(released, tmp_path, "build")
    after = spans()
    for name, rows in before.items():
        assert rows
        for row in rows:
            assert any(row.items() <= now.items() for now in after[name])
    assert believed() == 6
