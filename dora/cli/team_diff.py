"""What another team configuration would make of the figures, by one build of the real models.

Both configurations are built together in a scratch schema, their teams told apart by a prefix of
the team id: a team's figures depend on no other team's. So both sides see the same raw rows, and
what differs is the configuration's doing.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import Connection, sql
from psycopg.rows import dict_row

from dora.cli.build import run_dbt
from dora.cli.console import say
from dora.database import Database
from dora.dbt import LOCK
from dora.roles import TRANSFORM
from dora.scratch import scratch_schema

if TYPE_CHECKING:
    from ingest.teams import Team

Row = dict[str, Any]
MODELS = ("+dim_build", "+fct_team_velocity_weekly", "+fct_team_lead_time_monthly")
# No slug has a colon.
_BEFORE, _AFTER = "before:", "after:"
_TEAMS = "select team_id, team_name, description from marts.dim_teams"
_WINDOWS = """
    select team_id, github_username, allocation_weight, joined_at, left_at
    from marts.dim_team_memberships
"""
_BUILD = "select built_at, reporting_timezone, attribution_instant from marts.dim_build"
_LOADED = "select to_regclass('raw.pull_requests') is not null"
_BUILT = "select to_regclass('marts.dim_build') is not null"
_CREATE: Sequence[LiteralString] = (
    """
    create table {}.teams as
    select team_id, name, description from raw.teams with no data
    """,
    """
    create table {}.team_memberships as
    select team_id, github_username, allocation_weight, joined_at, left_at
    from raw.team_memberships with no data
    """,
)
_PERIODS: LiteralString = """
with

sides as (
    select
        split_part(rollup.team_id, ':', 1) as side,
        split_part(rollup.team_id, ':', 2) as team_id,
        rollup.{period} as period,
        to_jsonb(rollup) - array['team_id', {name}] as figures
    from {schema}.{rollup} as rollup
)

select
    team_id,
    period,
    before.figures as before,
    after.figures as after
from (select * from sides where side = 'before') as before
full outer join (select * from sides where side = 'after') as after using (team_id, period)
where before.figures is distinct from after.figures
order by team_id, period
"""
_MOVED: LiteralString = """
with

sides as (
    select
        split_part(team_id, ':', 1) as side,
        split_part(team_id, ':', 2) as team_id,
        pull_request_id,
        weight,
        attributed_at
    from {schema}.fct_team_pull_requests
)

select
    team_id,
    pull_requests.repository,
    pull_requests.number,
    pull_requests.title,
    pull_requests.url,
    pull_requests.author,
    pull_requests.state,
    pull_requests.merged_at,
    coalesce(before.attributed_at, after.attributed_at) as attributed_at,
    before.weight as before,
    after.weight as after
from (select * from sides where side = 'before') as before
full outer join (select * from sides where side = 'after') as after
    using (team_id, pull_request_id)
inner join {schema}.fct_pull_requests as pull_requests using (pull_request_id)
where before.weight is distinct from after.weight
order by team_id, attributed_at, pull_requests.repository, pull_requests.number
"""


@dataclass(frozen=True)
class Configuration:
    """Teams as (id, name, description); windows as rows of `dim_team_memberships`."""

    teams: frozenset[tuple[Any, ...]] = frozenset()
    windows: frozenset[tuple[Any, ...]] = frozenset()

    @classmethod
    def of(cls, teams: Iterable["Team"]) -> "Configuration":
        rows = [team.row() for team in teams]
        return cls(
            frozenset((row["team_id"], row["name"], row["description"]) for row in rows),
            frozenset(tuple(window.values()) for row in rows for window in row["memberships"]),
        )


@dataclass(frozen=True)
class Marts:
    """What the last build was made with; nothing where there was none."""

    configuration: Configuration = Configuration()
    built_at: datetime | None = None
    variables: dict[str, str] = field(default_factory=dict)


@dataclass
class TeamDiff:
    """How one team's rows of three marts differ; each row has `before` and `after`, or null."""

    team_id: str
    velocity: list[Row] = field(default_factory=list)
    lead_time: list[Row] = field(default_factory=list)
    pull_requests: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Diff:
    """What another configuration changes; `as_of` is up to when anything is loaded."""

    before: Marts
    after: Configuration
    as_of: datetime | None = None
    teams: list[TeamDiff] = field(default_factory=list)


def diff_teams(database: Database, teams: Iterable["Team"]) -> Diff:
    """Compare the configuration of the last build with another one, over what is loaded now.

    Nothing but a scratch schema is written, and that is gone afterwards. Raise `TransformError`
    where dbt fails.
    """
    after = Configuration.of(teams)
    before = _read_marts(database)
    with database.connect(TRANSFORM) as connection:
        is_loaded = connection.execute(_LOADED).fetchone() == (True,)
    if not is_loaded or before.configuration == after:
        return Diff(before, after)
    with scratch_schema(database) as schema:
        with database.connect(TRANSFORM) as connection:
            for statement in _CREATE:
                connection.execute(sql.SQL(statement).format(sql.Identifier(schema)))
            _insert(connection, schema, _BEFORE, before.configuration)
            _insert(connection, schema, _AFTER, after)
        _build(database, schema, before.variables)
        with database.connect(TRANSFORM) as connection:
            return Diff(before, after, *_compare(connection, schema))


def _read_marts(database: Database) -> Marts:
    with database.connect(TRANSFORM, autocommit=True) as connection:
        if connection.execute(_BUILT).fetchone() != (True,):
            return Marts()
        # A build replaces its tables one by one.
        free = connection.execute("select pg_try_advisory_lock_shared(%s)", [LOCK]).fetchone()
        if free != (True,):
            say("a build is under way; waiting for its end")
            connection.execute("select pg_advisory_lock_shared(%s)", [LOCK])
        build = connection.execute(_BUILD).fetchone()
        if build is None:
            return Marts()
        built_at, timezone, instant = build
        return Marts(
            Configuration(
                frozenset(connection.execute(_TEAMS).fetchall()),
                frozenset(connection.execute(_WINDOWS).fetchall()),
            ),
            built_at,
            {"reporting_timezone": timezone, "attribution_instant": instant},
        )


def _insert(
    connection: Connection[Any], schema: str, prefix: str, configuration: Configuration
) -> None:
    for table, rows in (
        ("teams", configuration.teams),
        ("team_memberships", configuration.windows),
    ):
        copy = sql.SQL("copy {} from stdin").format(sql.Identifier(schema, table))
        with connection.cursor().copy(copy) as copying:
            for team_id, *rest in rows:
                copying.write_row((prefix + team_id, *rest))


def _build(database: Database, schema: str, variables: dict[str, str]) -> None:
    variables = variables | {"scratch_schema": schema}
    # What dbt has parsed with these variables is of no use to the next build.
    with TemporaryDirectory(prefix="dora-") as folder:
        arguments = ["run", "--select", *MODELS, "--vars", json.dumps(variables)]
        places = ["--target-path", str(Path(folder)), "--log-path", str(Path(folder))]
        run_dbt(database, [*arguments, *places], "trial build")


def _compare(connection: Connection[Any], schema: str) -> tuple[datetime | None, list[TeamDiff]]:
    teams: dict[str, TeamDiff] = {}
    for name, rows in (
        ("velocity", _periods(connection, schema, "fct_team_velocity_weekly", "week")),
        ("lead_time", _periods(connection, schema, "fct_team_lead_time_monthly", "month")),
        ("pull_requests", _rows(connection, _MOVED, schema=sql.Identifier(schema))),
    ):
        for row in rows:
            team_id = row.pop("team_id")
            team = teams.setdefault(team_id, TeamDiff(team_id))
            getattr(team, name).append(row)
    query = sql.SQL("select as_of from {}.dim_build").format(sql.Identifier(schema))
    build = connection.execute(query).fetchone()
    return build and build[0], [teams[team_id] for team_id in sorted(teams)]


def _periods(connection: Connection[Any], schema: str, rollup: str, column: str) -> Iterator[Row]:
    rows = _rows(
        connection,
        _PERIODS,
        schema=sql.Identifier(schema),
        rollup=sql.Identifier(rollup),
        period=sql.Identifier(column),
        name=sql.Literal(column),
    )
    for row in rows:
        yield {column if name == "period" else name: value for name, value in row.items()}


def _rows(
    connection: Connection[Any], query: LiteralString, **names: sql.Composable
) -> Iterator[Row]:
    cursor = connection.cursor(row_factory=dict_row)
    yield from cursor.execute(sql.SQL(query).format(**names))
