"""Insert hand-written raw rows, run dbt on them, and read the marts."""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, LiteralString
from unittest.mock import patch

import psycopg
from dbt.cli.main import dbtRunner
from psycopg import Connection, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dora.database import Database
from dora.embedded_postgres import Embedded
from dora.roles import INGEST, READER, TRANSFORM
from ingest import tables
from ingest.ddl import CHANGES, INDEXES_OF_DBT
from tests.conftest import TEMPLATE
from transform.dbt_runner import garbage_collector_off

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, Any]
NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")

COLUMNS = {
    "repositories": tables.REPOSITORIES,
    "pull_requests": tables.PULL_REQUESTS,
    "pull_request_reviews": tables.REVIEWS,
    "pull_request_draft_events": tables.DRAFT_EVENTS,
    "user_logins": tables.USER_LOGINS,
    "deployments": tables.DEPLOYMENTS,
    "deployment_statuses": tables.DEPLOYMENT_STATUSES,
    "releases": tables.RELEASES,
    "tags": tables.TAGS,
    "workflow_runs": tables.WORKFLOW_RUNS,
    "pull_request_files": tables.PULL_REQUEST_FILES,
    "commits": tables.COMMITS,
    "incidents": tables.INCIDENTS,
    "delivery_coverage": tables.DELIVERY_COVERAGE,
    "teams": tables.TEAMS,
    "team_memberships": tables.TEAM_MEMBERSHIPS,
    "team_groups": tables.TEAM_GROUPS,
    "settings": tables.SETTINGS,
    "ingest_runs": tables.INGEST_RUNS,
    "ingest_failures": tables.INGEST_FAILURES,
}
# The Postgres types that dlt uses for its own types.
TYPES = {
    "text": "varchar",
    "bool": "boolean",
    "bigint": "bigint",
    "timestamp": "timestamp with time zone",
    "json": "jsonb",
    "decimal": "numeric(3, 2)",
}

KEEP_LOGINS = """
    insert into raw.user_logins (user_id, login, account_type)
    select user_id, login, max(account_type)
    from (
        select author_id, author_login, author_type from raw.pull_requests
        union
        select author_id, author_login, author_type from raw.pull_request_reviews
    ) as accounts (user_id, login, account_type)
    where
        user_id is not null
        and login is not null
        and (user_id, login) not in (select user_id, login from raw.user_logins)
    group by user_id, login
"""


def create_raw(connection: Connection[Any]) -> None:
    """Create the empty tables of `raw`."""
    for table, columns in COLUMNS.items():
        declared = ", ".join(
            f"{name} {TYPES[hint['data_type']]}{'' if hint['nullable'] else ' not null'}"
            for name, hint in columns.items()
        )
        connection.execute(f"create table raw.{table} ({declared})")
    connection.execute((CHANGES + INDEXES_OF_DBT).encode())


def insert_raw(connection: Connection[Any], table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows into a table of `raw`; a column that a row leaves out is null."""
    names = list(COLUMNS[table])
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier("raw", table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join([sql.Placeholder()] * len(names)),
    )
    for row in rows:
        if unknown := row.keys() - set(names):
            raise KeyError(f"raw.{table} has no {unknown}")
        values = [row.get(name) for name in names]
        connection.execute(
            statement, [Jsonb(v) if isinstance(v, list | dict) else v for v in values]
        )


def repository(name: str = "acme/shop", **more: Any) -> Row:
    """A repository whose whole history is loaded up to 2026-01-20."""
    return {
        "id": f"R_{name}",
        "repository": name,
        "is_configured": True,
        "covered_to": "2026-01-20T00:00Z",
    } | more


def pull_request(
    number: int, author: str | None, created_at: str, merged_at: str | None = None, **more: Any
) -> Row:
    """A pull request of `acme/shop`; the author `ada` has the node id `U_ada`."""
    return {
        "id": f"PR_{number}",
        "repository_id": "R_acme/shop",
        "repository": "acme/shop",
        "number": number,
        "title": f"Change {number}",
        "url": f"https://github.com/acme/shop/pull/{number}",
        "state": "OPEN" if merged_at is None else "MERGED",
        "is_draft": False,
        "author_id": author and f"U_{author}",
        "author_login": author,
        "author_type": author and "User",
        "created_at": created_at,
        "updated_at": merged_at or created_at,
        "closed_at": merged_at,
        "merged_at": merged_at,
    } | more


def review(number: int, reviewer: str | None, submitted_at: str, **more: Any) -> Row:
    return {
        "id": f"PRR_{number}_{reviewer}_{submitted_at}",
        "pull_request_id": f"PR_{number}",
        "author_id": reviewer and f"U_{reviewer}",
        "author_login": reviewer,
        "author_type": reviewer and "User",
        "state": "APPROVED",
        "submitted_at": submitted_at,
    } | more


def draft_events(number: int, *events: tuple[str, str]) -> list[Row]:
    """Events as (`ready_for_review` or `convert_to_draft`, instant), in timeline order."""
    return [
        {
            "id": f"E_{number}_{position}",
            "pull_request_id": f"PR_{number}",
            "event": event,
            "created_at": created_at,
            "position": position,
        }
        for position, (event, created_at) in enumerate(events)
    ]


def membership(
    team_id: str, login: str, weight: str, joined_at: str, left_at: str | None = None
) -> Row:
    return {
        "team_id": team_id,
        "github_username": login,
        "allocation_weight": weight,
        "joined_at": joined_at,
        "left_at": left_at,
    }


DEPLOYED_AT = {0: "2026-01-05T08:00Z", 1: "2026-01-05T20:00Z", 2: "2026-01-06T10:00Z"}
# The worked example of docs/metrics.md, without the people and phases below its table.
EXAMPLE: dict[str, list[Row]] = {
    "repositories": [repository()],
    "teams": [
        {"team_id": "core", "name": "Core", "description": "Shared services"},
        {"team_id": "web", "name": "Web"},
    ],
    "team_memberships": [
        membership("core", "ada", "0.5", "2026-01-01T00:00Z", "2026-01-12T00:00Z"),
        membership("core", "ada", "1.0", "2026-01-12T00:00Z"),
        membership("web", "ada", "0.5", "2026-01-01T00:00Z", "2026-01-12T00:00Z"),
        membership("web", "bob", "1.0", "2026-01-01T00:00Z"),
    ],
    "pull_requests": [
        pull_request(1, "ada", "2026-01-05T09:00Z", "2026-01-06T09:00Z", merge_commit_sha="c2"),
        pull_request(2, "bob", "2026-01-05T09:00Z", "2026-01-05T19:00Z", merge_commit_sha="c1"),
        pull_request(3, "ada", "2026-01-11T00:00Z", "2026-01-12T00:00Z", merge_commit_sha="c3"),
        pull_request(4, "eve", "2026-01-05T00:00Z", "2026-01-05T01:00Z"),
    ],
    # Each merge of 5 and 6 January is deployed an hour later; that of 12 January is not deployed.
    "commits": [
        {
            "repository_id": "R_acme/shop",
            "sha": f"c{n}",
            "parents": f"c{n - 1}" if n else "",
            "committed_at": "2026-01-05T00:00Z",
            "landed": n,
            "fork": n,
        }
        for n in range(4)
    ],
    "deployments": [
        {
            "id": f"DE_{n}",
            "repository_id": "R_acme/shop",
            "environment": "production",
            "task": "deploy",
            "commit_sha": f"c{n}",
            "created_at": succeeded_at,
        }
        for n, succeeded_at in DEPLOYED_AT.items()
    ],
    "deployment_statuses": [
        {
            "id": f"DES_{n}",
            "deployment_id": f"DE_{n}",
            "state": "SUCCESS",
            "created_at": succeeded_at,
            "position": 0,
        }
        for n, succeeded_at in DEPLOYED_AT.items()
    ],
    "delivery_coverage": [
        {"repository_id": "R_acme/shop", "kind": kind, "covered_to": "2026-01-20T00:00Z"}
        for kind in ("commits", "deployments")
    ],
}


class HookError(Exception):
    """A dbt hook failed; the text is the database's message."""


@dataclass(frozen=True)
class Warehouse:
    """A database with empty `raw` tables, on which dbt runs as `dora_transform`."""

    database: Database
    target: Path
    project: Path = ROOT / "dbt_project"
    warnings: list[str] = field(default_factory=list)

    def insert(self, **rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert rows into tables of `raw`, each named by a keyword.

        Like the ingest, also insert every login in them that has a node id.
        """
        with self.database.connect(INGEST) as connection:
            for table, of_table in rows.items():
                insert_raw(connection, table, of_table)
            connection.execute(KEEP_LOGINS)

    def dbt(self, *arguments: str) -> dict[str, str]:
        """Run dbt; return the status of each node by its name. Raise the error that stopped it."""
        return {one.node.name: str(one.status) for one in self.results(*arguments)}

    def results(
        self, *arguments: str, after: Mapping[str, Callable[[], object]] | None = None
    ) -> list[Any]:
        """Run dbt; return the result of each node, without the hooks.

        `after` maps the name of a model to a function that is called once it is built. The
        project's warnings are added to `warnings`. Raises `HookError` if a hook fails, or the
        error that stopped dbt.
        """
        places = ["--project-dir", self.project, "--profiles-dir", ROOT]
        places += ["--target-path", self.target, "--log-path", self.target]

        def on_event(event: Any) -> None:
            if event.info.name == "JinjaLogWarning":
                self.warnings.append(event.info.msg)
            if event.info.name == "NodeFinished" and after:
                after.get(event.data.node_info.node_name, lambda: None)()

        environment = patch.dict(os.environ, self.database.environment(TRANSFORM))
        with environment, garbage_collector_off():
            runner = dbtRunner(callbacks=[on_event])
            options = ["--quiet", "--log-level-file", "none"]
            if arguments[0] in {"build", "run"} and "--write-json" not in arguments:
                # Saves a second; the files are not read.
                options.append("--no-write-json")
            result = runner.invoke([*options, *arguments, *map(str, places)])
        if result.exception is not None:
            raise result.exception
        results = list(result.result or [])
        for one in results:
            if one.node.resource_type == "operation" and one.status != "success":
                raise HookError(one.message)
        return [one for one in results if one.node.resource_type != "operation"]

    def build(
        self, *arguments: str, after: Mapping[str, Callable[[], object]] | None = None
    ) -> None:
        """Build and publish; every model and test must succeed or warn."""
        results = self.results("build", *NO_UNIT_TESTS, *arguments, after=after)
        good = {"success", "pass", "warn", "no-op"}
        assert {one.node.name: one.message for one in results if one.status not in good} == {}

    def rows(self, query: LiteralString, parameters: Sequence[Any] = ()) -> list[Row]:
        """Select from the marts as a reader does."""
        with self.database.connect(READER) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            return cursor.execute(query, parameters).fetchall()

    def execute(self, *statements: LiteralString) -> None:
        """Change tables that dbt has built, without dbt."""
        with self.database.connect(TRANSFORM) as connection:
            for statement in statements:
                connection.execute(statement)

    def velocity(self, team_id: str) -> dict[date, Row]:
        """The team's weeks by Monday."""
        query = "select * from marts.fct_team_velocity_weekly where team_id = %s order by week"
        return {row["week"]: row for row in self.rows(query, [team_id])}

    def lead_time(self, team_id: str) -> dict[date, Row]:
        """The team's months by first day."""
        query = "select * from marts.fct_team_lead_time_monthly where team_id = %s order by month"
        return {row["month"]: row for row in self.rows(query, [team_id])}

    def shares(self, number: int) -> dict[str, str]:
        """The weight of each team in a pull request."""
        query = (
            "select team_id, weight from marts.fct_team_pull_requests where pull_request_id = %s"
        )
        return {row["team_id"]: str(row["weight"]) for row in self.rows(query, [f"PR_{number}"])}

    def pull_request(self, number: int) -> Row:
        (row,) = self.rows("select * from marts.fct_pull_requests where number = %s", [number])
        return row


@contextmanager
def new_warehouse(server: Embedded, target: Path, *, has_raw: bool = True) -> Iterator[Warehouse]:
    """A separate database. With `has_raw`, its `raw` tables exist, else the ingest creates them."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        made = Warehouse(Database(server.url(name)), target)
        if has_raw:
            with made.database.connect(INGEST) as raw:
                create_raw(raw)
        yield made
        connection.execute(f"drop database {name} with (force)")
