"""Views that an analyst created on the marts, and their readers, across builds."""

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from dbt_support import EXAMPLE, Warehouse, pull_request
from psycopg import Connection, sql
from test_dbt_grants import made_as_documented

from dora.database import Database
from dora.roles import TRANSFORM

MARTS = [
    "dim_build",
    "dim_group_teams",
    "dim_groups",
    "dim_team_memberships",
    "dim_teams",
    "fct_deployment_pull_requests",
    "fct_deployments",
    "fct_group_delivery_monthly",
    "fct_group_delivery_weekly",
    "fct_group_deployments",
    "fct_group_lead_time_monthly",
    "fct_group_pull_requests",
    "fct_group_velocity_weekly",
    "fct_incidents",
    "fct_open_pull_requests",
    "fct_pull_request_labels",
    "fct_pull_request_reviews",
    "fct_pull_requests",
    "fct_team_delivery_monthly",
    "fct_team_delivery_weekly",
    "fct_team_deployments",
    "fct_team_lead_time_monthly",
    "fct_team_pull_requests",
    "fct_team_trends",
    "fct_team_velocity_weekly",
]
SHAPE = """
select
    relname,
    pg_class.oid,
    relacl::text,
    obj_description(pg_class.oid),
    array(select conname || pg_get_constraintdef(oid) from pg_constraint
        where conrelid = pg_class.oid order by 1),
    array(select pg_get_indexdef(indexrelid) from pg_index
        where indrelid = pg_class.oid order by 1),
    array(select attname || format_type(atttypid, atttypmod) || col_description(attrelid, attnum)
        from pg_attribute where attrelid = pg_class.oid and attnum > 0 order by attnum)
from pg_class
where relnamespace = 'marts'::regnamespace and relkind = 'r'
order by relname
"""


@dataclass(frozen=True)
class Analyst:
    """A login that reads the marts and owns a schema with a view on each of them."""

    database: Database
    schema: str

    def counts(self, connection: Connection[Any]) -> dict[str, int]:
        """The number of rows of each view; missing views are left out."""
        views = connection.execute(
            "select viewname from pg_views where schemaname = %s order by 1", [self.schema]
        ).fetchall()
        query = sql.SQL("select count(*) from {}")
        return {
            view: connection.execute(query.format(sql.Identifier(self.schema, view))).fetchone()[0]
            for (view,) in views
        }


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    """The worked example, built once."""
    warehouse.insert(**EXAMPLE)
    warehouse.build()
    return warehouse


@pytest.fixture
def analyst(built: Warehouse) -> Iterator[Analyst]:
    login = f"analyst_{secrets.token_hex(4)}"
    database = made_as_documented(built.database, login)
    with built.database.connect() as connection:
        connection.execute(f"create schema {login} authorization {login}")
    with database.connect() as connection:
        for mart in MARTS:
            connection.execute(f"create view {login}.my_{mart} as select * from marts.{mart}")
    yield Analyst(database, login)
    with built.database.connect() as connection:
        connection.execute(f"drop owned by {login} cascade; drop role {login}")


def shapes(warehouse: Warehouse) -> dict[str, tuple[Any, ...]]:
    """The properties of each mart, from its oid to its comments."""
    with warehouse.database.connect() as connection:
        return {mart: tuple(rest) for mart, *rest in connection.execute(SHAPE)}


def writers(warehouse: Warehouse) -> dict[str, list[tuple[str]]]:
    """The transactions that wrote the rows of each mart."""
    with warehouse.database.connect() as connection:
        return {
            mart: connection.execute(f"select xmin::text from marts.{mart} order by 1").fetchall()
            for mart in MARTS
        }


def test_views_survive_a_build_and_show_its_rows(built: Warehouse, analyst: Analyst) -> None:
    before = shapes(built)
    # A manual grant that the project does not configure.
    with built.database.connect(TRANSFORM) as connection:
        connection.execute(f"grant select on marts.dim_teams to {analyst.schema}")
    assert shapes(built) != before
    with analyst.database.connect(autocommit=True) as connection:
        counted = analyst.counts(connection)
        built.insert(
            pull_requests=[pull_request(9, "bob", "2026-02-03T00:00Z", "2026-02-04T00:00Z")],
            teams=[{"team_id": "new", "name": "New"}],
        )
        built.build()
        now = analyst.counts(connection)
    assert counted.keys() == {f"my_{mart}" for mart in MARTS}
    assert {view: now[view] - counted[view] for view in counted} == {
        "my_dim_build": 0,
        "my_dim_teams": 1,
        "my_dim_team_memberships": 0,
        "my_fct_open_pull_requests": 0,
        "my_fct_pull_request_labels": 0,
        "my_fct_pull_request_reviews": 0,
        "my_fct_pull_requests": 1,
        "my_fct_team_pull_requests": 1,
        "my_fct_team_velocity_weekly": 2,
        "my_fct_team_lead_time_monthly": 1,
        "my_fct_deployments": 0,
        "my_fct_deployment_pull_requests": 0,
        "my_fct_team_deployments": 0,
        "my_fct_incidents": 0,
        "my_fct_team_delivery_weekly": 2,
        "my_fct_team_delivery_monthly": 1,
        "my_fct_team_trends": 10,
        "my_dim_groups": 0,
        "my_dim_group_teams": 1,
        "my_fct_group_pull_requests": 1,
        "my_fct_group_velocity_weekly": 2,
        "my_fct_group_lead_time_monthly": 1,
        "my_fct_group_deployments": 0,
        "my_fct_group_delivery_weekly": 2,
        "my_fct_group_delivery_monthly": 1,
    }
    assert shapes(built) == before

    wrote = writers(built)
    built.build()
    rewritten = {mart for mart, rows in writers(built).items() if rows != wrote[mart]}
    assert rewritten == {"dim_build"}


def test_readers_and_a_build_do_not_wait_for_each_other(built: Warehouse, analyst: Analyst) -> None:
    """One reader keeps a transaction open on every mart; another reads all the time.

    A trigger makes the build pause between the old and the new row of `dim_build`.
    """
    with built.database.connect() as connection:
        connection.execute(f"alter database {name_of(built)} set lock_timeout = '5s'")
        connection.execute(
            """
            create function public.rest() returns trigger language plpgsql as
            $$ begin perform pg_sleep(0.3); return null; end $$;
            create trigger rest before insert on marts.dim_build
            for each statement execute function public.rest()
            """
        )
    done = threading.Event()
    seen: set[int] = set()

    def look() -> None:
        with analyst.database.connect(autocommit=True) as connection:
            while not done.is_set():
                seen.add(analyst.counts(connection)["my_dim_build"])

    looking = threading.Thread(target=look)
    with analyst.database.connect() as reading:
        analyst.counts(reading)
        looking.start()
        try:
            built.build()
        finally:
            done.set()
            looking.join()
    with built.database.connect() as connection:
        connection.execute("drop function public.rest cascade")
    assert seen == {1}


def name_of(warehouse: Warehouse) -> str:
    return warehouse.database.environment()["PGDATABASE"]
