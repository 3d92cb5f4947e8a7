"""What the answers have in common: their envelope, their parameters, their types."""

import re
from datetime import date, datetime
from typing import Annotated, LiteralString, NamedTuple

from fastapi import Depends, Query, Request
from psycopg.rows import DictRow
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from api.marts import Marts
from api.problems import NoBuildError, ParameterError, ProblemError

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


class TeamAnswer(BaseModel):
    """What every answer about one team begins with."""

    team: Team
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


async def marts(request: Request) -> Marts:
    """Dependency: the marts of this app."""
    found: Marts = request.app.state.marts
    return found


InPeriod = Annotated[Period, Depends(period)]
FromMarts = Annotated[Marts, Depends(marts)]


class TeamRows(NamedTuple):
    """What a query about one team came back with."""

    team: Team
    as_of: datetime | None
    data: list[DictRow]


def team_rows(
    marts: Marts, query: LiteralString, team_id: str, row_key: str, **parameters: object
) -> TeamRows:
    """Run a query that yields `as_of`, `team_id`, `team_name` and, outer joined, a row's columns.

    One statement, so that what it tells is of one moment. `row_key` names a column that is null
    only where the join found nothing. Raises `ProblemError` 404 for an unknown team.
    """
    # Postgres has no text with NUL in it, so no team either.
    asked_for = None if "\x00" in team_id else team_id
    found = marts.rows(query, {"team_id": asked_for, **parameters})
    if not found:
        raise NoBuildError
    first = found[0]
    if first["team_id"] is None:
        raise ProblemError(404, f"There is no team {team_id!r}; /teams lists those there are.")
    return TeamRows(
        Team(id=first["team_id"], name=first["team_name"]),
        first["as_of"],
        [row for row in found if row[row_key] is not None],
    )
