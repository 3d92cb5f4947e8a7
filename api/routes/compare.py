"""`GET /metrics/compare`: velocity and lead time of several teams, all of one moment."""

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, LiteralString, NamedTuple

from fastapi import APIRouter, Depends, Query, Response
from psycopg.rows import DictRow
from pydantic import Field

from api import described
from api.access import Reader, expect_reader_of
from api.answers import DaysHead, InPeriod, Team, TeamOf, Unit, hull, storable, unknown_team
from api.problems import ParameterError
from api.replies import Found, Reply, spliced
from api.routes.lead_time import MONTHS, LeadTimeMonth
from api.routes.velocity import WEEKS, VelocityWeek

router = APIRouter(tags=["metrics"])

MAX_TEAMS = 20

QUERY: LiteralString = (
    """
select
    build.build_id,
    build.as_of,
    build.reporting_timezone,
    dim_teams.team_id as id,
    dim_teams.team_name as name,
    weeks.data as velocity,
    months.data as lead_time
from build
cross join unnest(%(teams)s::text[]) with ordinality as asked (team_id, place)
left join marts.dim_teams
    on dim_teams.team_id = asked.team_id
left join lateral (
"""
    + WEEKS
    + """
) as weeks
    on true
left join lateral (
"""
    + MONTHS
    + """
) as months
    on true
order by asked.place
"""
)


class TeamFigures(TeamOf):
    """A team's weeks and months, each oldest first."""

    velocity: list[VelocityWeek] | None = Field(
        None, description="Its weeks; not there with `unit=month`."
    )
    lead_time: list[LeadTimeMonth] | None = Field(
        None, description="Its months; not there with `unit=week`."
    )


class Comparison(DaysHead):
    """Several teams, in the order in which they were asked for."""

    data: list[TeamFigures]


class _Figure(NamedTuple):
    """What a unit is called in an answer, and its columns."""

    name: str
    columns: list[str]


_FIGURES: dict[Unit, _Figure] = {
    "week": _Figure("velocity", list(VelocityWeek.model_fields)),
    "month": _Figure("lead_time", list(LeadTimeMonth.model_fields)),
}


async def compared(
    reader: Reader,
    team: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=MAX_TEAMS,
            description="A team's `id`, as `/teams` lists it; once for each team.",
        ),
    ],
) -> list[str]:
    """Dependency: the teams asked for, each once. Raises `ProblemError` 403 for another's."""
    teams = list(dict.fromkeys(team))
    for team_id in teams:
        expect_reader_of(team_id, reader)
    return teams


@router.get(
    "/metrics/compare",
    response_model=Comparison,
    responses=described.rows(401, 403, 404, 422, 429, 503),
)
def compare(
    teams: Annotated[list[str], Depends(compared)],
    period: InPeriod,
    reply: Reply,
    unit: Annotated[
        Literal["week", "month"] | None,
        Query(description="`week` for velocity alone, `month` for lead time alone; CSV needs it."),
    ] = None,
) -> Response:
    """Velocity by week and lead time by month of several teams, all of one build.

    `from` and `to` are compared with the first day of each week and month. CSV has rows of one
    kind, so it needs `unit`.
    """
    if unit is None and reply.is_csv:
        raise ParameterError("unit", "CSV holds weeks or months: add unit=week or unit=month")
    units: list[Unit] = ["week", "month"] if unit is None else [unit]
    figures = [_FIGURES[each] for each in units]

    def find() -> Found:
        asked = [storable(team_id) for team_id in teams]
        rows = reply.marts.of_one_build(QUERY, {"teams": asked, **period._asdict()})
        for team_id, row in zip(teams, rows, strict=True):
            if row["id"] is None:
                raise unknown_team(team_id)
        data = [
            spliced(
                TeamOf(team=Team(id=row["id"], name=row["name"])),
                **{figure.name: row[figure.name] for figure in figures},
            )
            for row in rows
        ]
        days = hull(period.covered(each) for each in units)
        head = DaysHead(
            as_of=rows[0]["as_of"],
            reporting_timezone=rows[0]["reporting_timezone"],
            **days._asdict(),
        )
        text = spliced(head, data=f"[{','.join(data)}]")
        return Found(rows[0]["build_id"], text, lambda: _lines(rows, figures[0].name), days=days)

    columns = [column for figure in figures for column in figure.columns]
    return reply.reply(["team_id", *columns], find)


def _lines(teams: Iterable[DictRow], figure: str) -> Iterator[dict[str, Any]]:
    for team in teams:
        for row in json.loads(team[figure]):
            yield {"team_id": team["id"], **row}
