"""The envelope, the parameters and the types that the responses share."""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, LiteralString, NamedTuple

from fastapi import Depends, Query, Response
from psycopg.rows import DictRow
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from api import cursors
from api.database import Marts
from api.problems import ParameterError, ProblemError
from api.responses import Found, Replies, found_rows

# Formats an instant in JSON from Postgres as in the other responses: UTC is Z.
INSTANT: LiteralString = "to_json({} at time zone 'UTC') #>> '{{}}' || 'Z'"
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next_cursor` of the previous page.")
]
# Teams and groups, as `dim_teams`: the queries treat a group as a team.
TEAMS: LiteralString = """
(
    select
        team_id,
        team_name
    from marts.dim_teams
    union all
    select
        group_id,
        group_name
    from marts.dim_groups
) as dim_teams
"""
# Their pull requests, as `fct_team_pull_requests`.
TEAM_PULL_REQUESTS: LiteralString = """
(
    select
        team_id,
        pull_request_id,
        weight,
        merged_at,
        week,
        month
    from marts.fct_team_pull_requests
    union all
    select
        group_id,
        pull_request_id,
        weight,
        merged_at,
        week,
        month
    from marts.fct_group_pull_requests
) as fct_team_pull_requests
"""
# Their weeks or months, complete or not; `mart` follows `fct_team_`.
_SPAN: LiteralString = """
(
    select
        team_id,
        {unit},
        prs_merged,
        is_complete
    from marts.fct_team_{mart}
    union all
    select
        group_id,
        {unit},
        prs_merged,
        is_complete
    from marts.fct_group_{mart}
)
"""
WEEKS_OF_TEAMS: LiteralString = _SPAN.format(unit="week", mart="velocity_weekly")
MONTHS_OF_TEAMS: LiteralString = _SPAN.format(unit="month", mart="lead_time_monthly")
_PERIODS: LiteralString = """
    select
        {columns}
    from marts.fct_{kind}_{mart} as periods
    where
        periods.{kind}_id = dim_teams.team_id
        and (%(first)s::date is null or periods.{unit} >= %(first)s::date)
        and (%(last)s::date is null or periods.{unit} <= %(last)s::date)
"""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _iso_day(value: str) -> date:
    if not _DAY.fullmatch(value):
        raise ValueError("should be a date like 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("is not a calendar date") from None


Day = Annotated[
    date, BeforeValidator(_iso_day), WithJsonSchema({"type": "string", "format": "date"})
]
"""A date written as YYYY-MM-DD; the other formats that pydantic accepts are refused."""


class Team(BaseModel):
    """The team or group of a response."""

    id: str
    name: str


AsOf = Annotated[
    datetime | None,
    Field(description="Every repository is loaded up to here (UTC); null before the first load."),
]


class TeamOf(BaseModel):
    """The team of the figures."""

    team: Team


class Head(BaseModel):
    """The members of a response before its `data`."""

    as_of: AsOf
    reporting_timezone: str = Field(description="The time zone of every day, week and month.")


class DaysHead(Head):
    """The head of a response about a range of days."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    first: date | None = Field(
        alias="from",
        description="First day that the response covers; null if `from` was not given. For weeks, "
        "the Monday on or after `from`; for months, the first of a month on or after it.",
    )
    last: date | None = Field(
        alias="to",
        description="Last day that the response covers; null if `to` was not given. Weeks and "
        "months are covered completely, so it may be later than the requested `to`.",
    )


class TeamHead(DaysHead, TeamOf):
    """The head of a response about one team."""


Unit = Literal["day", "week", "month"]


class Period(NamedTuple):
    """The first and the last day, both inclusive; None means open."""

    first: date | None
    last: date | None

    def covered(self, unit: Unit) -> "Period":
        """Return the days of the weeks or months whose first day lies in this period."""
        first = None if self.first is None else _first_day(self.first, unit)
        last = None if self.last is None else _last_day(self.last, unit)
        return Period(first, last)


def _first_day(day: date, unit: Unit) -> date:
    """Return the first day of a unit on or after this day."""
    try:
        if unit == "week":
            return day + timedelta(-day.weekday() % 7)
        return _next_month(day) if unit == "month" and day.day > 1 else day
    except OverflowError:
        return date.max


def _last_day(day: date, unit: Unit) -> date:
    """Return the last day of the unit that contains this day."""
    try:
        if unit == "week":
            return day + timedelta(6 - day.weekday())
        return _next_month(day) - timedelta(1) if unit == "month" else day
    except OverflowError:
        return date.max


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(32)).replace(day=1)


def hull(periods: Iterable[Period]) -> Period:
    """Return the shortest period that contains all of these; all are open on the same sides."""
    firsts, lasts = zip(*periods, strict=True)
    return Period(
        None if None in firsts else min(firsts),
        None if None in lasts else max(lasts),
    )


async def period(
    first: Annotated[
        Day | None, Query(alias="from", description="First day, inclusive; no limit if absent.")
    ] = None,
    last: Annotated[
        Day | None, Query(alias="to", description="Last day, inclusive; no limit if absent.")
    ] = None,
) -> Period:
    """Dependency: `from` and `to`. Raises `ParameterError` if `from` is after `to`."""
    if first is not None and last is not None and first > last:
        raise ParameterError("from", f"{first} is after to ({last})")
    return Period(first, last)


InPeriod = Annotated[Period, Depends(period)]


def periods_of_team(
    mart: LiteralString, unit: Literal["week", "month"], columns: LiteralString
) -> LiteralString:
    """Return a subquery that is joined to `dim_teams`: weeks or months as JSON, in a column `data`.

    They come from `fct_team_` or `fct_group_` and `mart`; `columns` are those of `periods`.
    """
    kinds = [
        _PERIODS.format(columns=columns, kind=kind, mart=mart, unit=unit)
        for kind in ("team", "group")
    ]
    return f"""
    select coalesce(json_agg(shown order by shown.{unit}), '[]')::text as data
    from ({" union all ".join(kinds)}) as shown
    """


def of_team(found: LiteralString) -> LiteralString:
    """Return a query about one team; `found` is a subquery joined to `build` and `dim_teams`."""
    return (
        """
        select
            build.build_id,
            build.as_of,
            build.reporting_timezone,
            dim_teams.team_id,
            dim_teams.team_name,
            found.*
        from build
        left join """
        + TEAMS
        + """
            on dim_teams.team_id = %(team_id)s
        left join lateral (
        """
        + found
        + """
        ) as found
            on true
        """
    )


class TeamRow(NamedTuple):
    """The result of a query about one team."""

    build_id: str
    head: TeamHead
    row: DictRow


def team_row(
    marts: Marts,
    query: LiteralString,
    team_id: str,
    period: Period,
    unit: Unit,
    **parameters: object,
) -> TeamRow:
    """Run a query made by `of_team`, which yields one row, for the `unit`s in a period.

    It is one statement, so all of its data is from one build. Raises `ProblemError` 404 for an
    unknown team.
    """
    given = {"team_id": storable(team_id), **period._asdict(), **parameters}
    (row,) = marts.of_one_build(query, given)
    if row["team_id"] is None:
        raise unknown_team(team_id)
    team = Team(id=row["team_id"], name=row["team_name"])
    head = TeamHead(
        team=team,
        as_of=row["as_of"],
        reporting_timezone=row["reporting_timezone"],
        **period.covered(unit)._asdict(),
    )
    return TeamRow(row["build_id"], head, row)


def storable(team_id: str) -> str | None:
    """Return a team's id as a query parameter; None if it has a NUL, which Postgres rejects."""
    return None if "\x00" in team_id else team_id


def unknown_team(team_id: str) -> ProblemError:
    """Return the problem for an unknown team (404)."""
    return ProblemError(404, f"There is no team {team_id!r}; /teams and /groups list the ids.")


def reply_with_periods(
    reply: Replies,
    row: type[BaseModel],
    query: LiteralString,
    team_id: str,
    period: Period,
    unit: Unit,
    **parameters: object,
) -> Response:
    """Reply with a team's weeks or months; the query returns them as JSON, in a column `data`."""

    def find() -> Found:
        found = team_row(reply.marts, query, team_id, period, unit, **parameters)
        return found_rows_of_team(found)

    return reply.reply(["team_id", *row.model_fields], find)


def reply_with_page(
    reply: Replies,
    row: type[BaseModel],
    query: LiteralString,
    team_id: str,
    period: Period,
    *,
    limit: int,
    cursor: str | None,
    **parameters: object,
) -> Response:
    """Reply with a page of a team's rows.

    The query returns `data`, `has_more`, and `last_at` and `last_id` of the last row of the page;
    it may also return a `summary` of all pages, as JSON.
    """
    after = None if cursor is None else cursors.decode(cursor)

    def find() -> Found:
        found = team_row(
            reply.marts,
            query,
            team_id,
            period,
            "day",
            after_at=after and after.at,
            after_id=after and after.id,
            limit=limit,
            **parameters,
        )
        following = None
        if found.row["has_more"]:
            last = cursors.Position(found.row["last_at"], found.row["last_id"])
            following = cursors.encode(last)
        return found_rows_of_team(found, following)

    return reply.reply(["team_id", *row.model_fields], find)


def found_rows_of_team(found: TeamRow, next_cursor: str | None = None) -> Found:
    """Build a response from a team's rows; the query returned them as JSON, in a column `data`."""
    head = found.head
    return found_rows(
        found.build_id,
        head,
        found.row["data"],
        next_cursor=next_cursor,
        days=(head.first, head.last),
        summary=found.row.get("summary"),
        team_id=head.team.id,
    )
