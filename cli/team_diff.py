"""Compare the figures of two team configurations with one build of the real models.

Both configurations are built together in a scratch schema, with a prefix of the team id for each
side; this works because a team's figures do not depend on other teams. So both sides see the same
raw rows, and only the configuration causes differences. If they differ in `also`, which affects
every team, each side is built separately.
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

from cli.build import QUIET, Watch
from cli.console import bars
from dora.database import Database
from dora.roles import TRANSFORM
from transform.dbt_runner import run_dbt
from transform.temporary_schema import scratch_schema

if TYPE_CHECKING:
    from ingest.teams import Team

Row = dict[str, Any]
MODELS = ("+int_team_weeks_filled", "+int_team_months_filled")
# Team ids contain no colon.
_BEFORE, _AFTER = "before:", "after:"
_TEAMS = "select team_id, team_name, description from marts.dim_teams"
_WINDOWS = """
    select team_id, github_username, also, allocation_weight, joined_at, left_at
    from marts.dim_team_memberships
"""
_BUILD = "select built_at, reporting_timezone, attribution_instant from marts.dim_build"
_LOADED = "select to_regclass('raw.pull_requests') is not null"
_BUILT = "select to_regclass('marts.dim_build') is not null"
_CREATE: Sequence[LiteralString] = (
    """
    create table {}.teams as
    select team_id, name, description from {}.teams with no data
    """,
    """
    create table {}.team_memberships as
    select team_id, github_username, also, allocation_weight, joined_at, left_at
    from {}.team_memberships with no data
    """,
    # Groups are not compared.
    """
    create table {}.team_groups as select * from {}.team_groups with no data
    """,
)
_PERIODS: LiteralString = """
with

sides as (
    select
        split_part(rollup.team_id, ':', 1) as side,
        split_part(rollup.team_id, ':', 2) as team_id,
        rollup.{period} as period,
        to_jsonb(rollup) - array['team_id', 'is_group', {name}] as figures
    from {rows} as rollup
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
    from {attributions} as attributions
    where is_current
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
inner join (
    select distinct on (pull_request_id) * from {tracked} as tracked order by pull_request_id
) as pull_requests using (pull_request_id)
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

    @property
    def accounts(self) -> set[tuple[str, str]]:
        """Pairs of a member's login and one of the member's `also` logins."""
        return {
            (username, login)
            for _, username, also, *_ in self.windows
            if also
            for login in also.split(",")
        }


@dataclass(frozen=True)
class Marts:
    """The configuration of the last build; empty if there was none."""

    configuration: Configuration = Configuration()
    built_at: datetime | None = None
    variables: dict[str, str] = field(default_factory=dict)


@dataclass
class TeamDiff:
    """One team's rows of three marts that differ; each has `before` and `after`, or null."""

    team_id: str
    velocity: list[Row] = field(default_factory=list)
    lead_time: list[Row] = field(default_factory=list)
    pull_requests: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Diff:
    """The changes by another configuration; data are loaded up to `as_of`."""

    before: Marts
    after: Configuration
    as_of: datetime | None = None
    teams: list[TeamDiff] = field(default_factory=list)


def diff_teams(database: Database, teams: Iterable["Team"]) -> Diff:
    """Compare the configuration of the last build with another one, over the data loaded now.

    Writes only to a scratch schema, which is dropped afterwards. Raise `TransformError` if dbt
    fails.
    """
    after = Configuration.of(teams)
    before = _read_marts(database)
    with database.connect(TRANSFORM) as connection:
        is_loaded = connection.execute(database.schemas.qualify(_LOADED)).fetchone() == (True,)
    if not is_loaded or before.configuration == after:
        return Diff(before, after)
    sides = {_BEFORE: before.configuration, _AFTER: after}
    with scratch_schema(database) as schema:
        if before.configuration.accounts == after.accounts:
            _build(database, schema, sides, before.variables)
            with database.connect(TRANSFORM) as connection:
                return Diff(before, after, *_compare(connection, schema))
        _build(database, schema, {_BEFORE: sides[_BEFORE]}, before.variables)
        with scratch_schema(database) as other:
            _build(database, other, {_AFTER: after}, before.variables)
            with database.connect(TRANSFORM) as connection:
                return Diff(before, after, *_compare(connection, schema, other))


def _read_marts(database: Database) -> Marts:
    qualify = database.schemas.qualify
    with database.connect(TRANSFORM) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        if connection.execute(qualify(_BUILT)).fetchone() != (True,):
            return Marts()
        build = connection.execute(qualify(_BUILD)).fetchone()
        if build is None:
            return Marts()
        built_at, timezone, instant = build
        return Marts(
            Configuration(
                frozenset(connection.execute(qualify(_TEAMS)).fetchall()),
                frozenset(connection.execute(qualify(_WINDOWS)).fetchall()),
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


def _build(
    database: Database, schema: str, sides: dict[str, Configuration], variables: dict[str, str]
) -> None:
    """Fill a scratch schema with the marts of these configurations."""
    with database.connect(TRANSFORM) as connection:
        for statement in _CREATE:
            names = sql.Identifier(schema), sql.Identifier(database.schemas.raw)
            connection.execute(sql.SQL(statement).format(*names))
        for prefix, configuration in sides.items():
            _insert(connection, schema, prefix, configuration)
    variables = variables | {"scratch_schema": schema}
    # The next build cannot use what dbt parses with these variables.
    with TemporaryDirectory(prefix="dora-") as folder:
        arguments = ["run", *QUIET, "--select", *MODELS, "--vars", json.dumps(variables)]
        with bars() as progress:
            watch = Watch(progress, "trial build")
            run_dbt(database, Path(folder), arguments, watch.on_event)


def _compare(connection: Connection[Any], *schemas: str) -> tuple[datetime | None, list[TeamDiff]]:
    """Compare both sides over all scratch schemas together."""
    teams: dict[str, TeamDiff] = {}
    for name, rows in (
        ("velocity", _periods(connection, _of_all(schemas, "int_team_weeks_filled"), "week")),
        ("lead_time", _periods(connection, _of_all(schemas, "int_team_months_filled"), "month")),
        (
            "pull_requests",
            _rows(
                connection,
                _MOVED,
                attributions=_of_all(schemas, "int_pull_requests_attributed"),
                tracked=_of_all(schemas, "int_pull_requests_tracked"),
            ),
        ),
    ):
        for row in rows:
            team_id = row.pop("team_id")
            team = teams.setdefault(team_id, TeamDiff(team_id))
            getattr(team, name).append(row)
    query = sql.SQL("select as_of from {}")
    coverage = sql.Identifier(schemas[0], "int_coverage_measured")
    build = connection.execute(query.format(coverage)).fetchone()
    return build and build[0], [teams[team_id] for team_id in sorted(teams)]


def _of_all(schemas: Sequence[str], table: str) -> sql.Composed:
    selects = [
        sql.SQL("select * from {}").format(sql.Identifier(schema, table)) for schema in schemas
    ]
    return sql.SQL("({})").format(sql.SQL(" union all ").join(selects))


def _periods(connection: Connection[Any], rows: sql.Composed, column: str) -> Iterator[Row]:
    for row in _rows(
        connection,
        _PERIODS,
        rows=rows,
        period=sql.Identifier(column),
        name=sql.Literal(column),
    ):
        yield {column if name == "period" else name: value for name, value in row.items()}


def _rows(
    connection: Connection[Any], query: LiteralString, **names: sql.Composable
) -> Iterator[Row]:
    cursor = connection.cursor(row_factory=dict_row)
    yield from cursor.execute(sql.SQL(query).format(**names))
