"""What the answers have in common: their envelope, their parameters, their types."""

import re
from datetime import date, datetime
from typing import Annotated, LiteralString, NamedTuple

from fastapi import Depends, Query, Response
from psycopg.rows import DictRow
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from api.marts import Marts
from api.problems import ParameterError, ProblemError
from api.replies import Found, Replies, found_rows

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


class Head(BaseModel):
    """What an answer begins with, before its `data`."""

    as_of: AsOf


class TeamOf(BaseModel):
    """Whose figures they are."""

    team: Team


class TeamHead(TeamOf):
    """What every answer about one team begins with."""

    as_of: AsOf


class Period(NamedTuple):
    """The dates asked for, both inclusive; None leaves that side open."""

    first: date | None
    last: date | None


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
            build.snapshot,
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


def team_row(marts: Marts, query: LiteralString, team_id: str, **parameters: object) -> TeamRow:
    """Run a query made by `of_team`, which yields one row.

    One statement, so that what it tells is of one moment. Raises `ProblemError` 404 for an unknown
    team.
    """
    (row,) = marts.of_one_build(query, {"team_id": storable(team_id), **parameters})
    if row["team_id"] is None:
        raise unknown_team(team_id)
    team = Team(id=row["team_id"], name=row["team_name"])
    return TeamRow(row["build_id"], TeamHead(team=team, as_of=row["as_of"]), row)


def storable(team_id: str) -> str | None:
    """A team's id as a parameter: Postgres has no text with NUL in it, so no such team either."""
    return None if "\x00" in team_id else team_id


def unknown_team(team_id: str) -> ProblemError:
    """The problem 404."""
    return ProblemError(404, f"There is no team {team_id!r}; /teams lists those there are.")


def reply_with_periods(
    reply: Replies, row: type[BaseModel], query: LiteralString, team_id: str, period: Period
) -> Response:
    """Reply with a team's weeks or months, which the query gives as JSON, in a column `data`."""

    def find() -> Found:
        found = team_row(reply.marts, query, team_id, **period._asdict())
        return found_rows(found.build_id, found.head, found.row["data"])

    return reply.reply(row.model_fields, find)
