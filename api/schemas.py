"""What the answers have in common: their envelope, their parameters, their types."""

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

# An instant in JSON that Postgres writes, as it is elsewhere: UTC is Z.
INSTANT: LiteralString = "to_json({} at time zone 'UTC') #>> '{{}}' || 'Z'"
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next_cursor` of the page before.")
]
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _iso_day(value: str) -> date:
    if not _DAY.fullmatch(value):
        raise ValueError("should be a date like 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("is no day of the calendar") from None


Day = Annotated[
    date, BeforeValidator(_iso_day), WithJsonSchema({"type": "string", "format": "date"})
]
"""A date written as YYYY-MM-DD, and no other of the many ways in which pydantic would read one."""


class Team(BaseModel):
    """The team that an answer is about."""

    id: str
    name: str


AsOf = Annotated[
    datetime | None,
    Field(description="Up to here every repository is loaded (UTC); null until the first load."),
]


class TeamOf(BaseModel):
    """Whose figures they are."""

    team: Team


class Head(BaseModel):
    """What an answer begins with, before its `data`."""

    as_of: AsOf
    reporting_timezone: str = Field(description="The time zone of every day, week and month.")


class DaysHead(Head):
    """What an answer about a range of days begins with."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    first: date | None = Field(
        alias="from",
        description="First day whose merges the answer covers; null if `from` was not given. "
        "Of weeks, the Monday on or after `from`; of months, the first of a month.",
    )
    last: date | None = Field(
        alias="to",
        description="Last day whose merges the answer covers; null if `to` was not given. "
        "A week or month is covered whole, so it may be later than the `to` that was given.",
    )


class TeamHead(DaysHead, TeamOf):
    """What every answer about one team begins with."""


Unit = Literal["day", "week", "month"]


class Period(NamedTuple):
    """Days, both inclusive; None leaves that side open."""

    first: date | None
    last: date | None

    def covered(self, unit: Unit) -> "Period":
        """Give the days of the weeks or months whose first day lies in this period."""
        first = None if self.first is None else _first_day(self.first, unit)
        last = None if self.last is None else _last_day(self.last, unit)
        return Period(first, last)


def _first_day(day: date, unit: Unit) -> date:
    """The first day, on or after this one, of a period."""
    try:
        if unit == "week":
            return day + timedelta(-day.weekday() % 7)
        return _next_month(day) if unit == "month" and day.day > 1 else day
    except OverflowError:
        return date.max


def _last_day(day: date, unit: Unit) -> date:
    """The last day of the period that holds this one."""
    try:
        if unit == "week":
            return day + timedelta(6 - day.weekday())
        return _next_month(day) - timedelta(1) if unit == "month" else day
    except OverflowError:
        return date.max


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(32)).replace(day=1)


def hull(periods: Iterable[Period]) -> Period:
    """The shortest period that holds all of these, which are open on the same sides."""
    firsts, lasts = zip(*periods, strict=True)
    return Period(
        None if None in firsts else min(firsts),
        None if None in lasts else max(lasts),
    )


async def period(
    first: Annotated[
        Day | None, Query(alias="from", description="First day, inclusive; open where absent.")
    ] = None,
    last: Annotated[
        Day | None, Query(alias="to", description="Last day, inclusive; open where absent.")
    ] = None,
) -> Period:
    """Dependency: `from` and `to`. Raises `ParameterError` where they are the wrong way round."""
    if first is not None and last is not None and first > last:
        raise ParameterError("from", f"{first} is after to, {last}")
    return Period(first, last)


InPeriod = Annotated[Period, Depends(period)]


def of_team(found: LiteralString) -> LiteralString:
    """The query about one team: what `found`, a subquery beside `build` and `dim_teams`, finds."""
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
        left join marts.dim_teams
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
    """What a query about one team came back with."""

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

    One statement, so that what it tells is of one moment. Raises `ProblemError` 404 for an unknown
    team.
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
    """A team's id as a parameter: Postgres has no text with NUL in it, so no such team either."""
    return None if "\x00" in team_id else team_id


def unknown_team(team_id: str) -> ProblemError:
    """The problem 404."""
    return ProblemError(404, f"There is no team {team_id!r}; /teams lists those there are.")


def reply_with_periods(
    reply: Replies,
    row: type[BaseModel],
    query: LiteralString,
    team_id: str,
    period: Period,
    unit: Unit,
) -> Response:
    """Reply with a team's weeks or months, which the query gives as JSON, in a column `data`."""

    def find() -> Found:
        found = team_row(reply.marts, query, team_id, period, unit)
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
) -> Response:
    """Reply with a page of a team's rows, newest first.

    The query gives them in `data`, `has_more`, and in `last_at` and `last_id` where the page ends.
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
        )
        following = None
        if found.row["has_more"]:
            last = cursors.Position(found.row["last_at"], found.row["last_id"])
            following = cursors.encode(last)
        return found_rows_of_team(found, following)

    return reply.reply(["team_id", *row.model_fields], find)


def found_rows_of_team(found: TeamRow, next_cursor: str | None = None) -> Found:
    """An answer of one team's rows, which the query gave as JSON, in a column `data`."""
    head = found.head
    return found_rows(
        found.build_id,
        head,
        found.row["data"],
        next_cursor=next_cursor,
        days=(head.first, head.last),
        team_id=head.team.id,
    )
