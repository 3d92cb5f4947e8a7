"""`GET /metrics/compare`: velocity and lead time of several teams, all of one moment."""

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, LiteralString

from fastapi import APIRouter, Depends, Query, Response
from psycopg.rows import DictRow

from api import described
from api.access import Reader, expect_reader_of
from api.answers import Head, InPeriod, Team, TeamOf, storable, unknown_team
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
    build.snapshot,
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

    velocity: list[VelocityWeek]
    lead_time: list[LeadTimeMonth]


class Comparison(Head):
    """Several teams, in the order in which they were asked for."""

    data: list[TeamFigures]


# As CSV: a line is a week or a month of a team and has nothing in the other's columns.
COLUMNS = tuple(
    dict.fromkeys(
        ("team_id", "week", "month", *VelocityWeek.model_fields, *LeadTimeMonth.model_fields)
    )
)


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
    teams: Annotated[list[str], Depends(compared)], period: InPeriod, reply: Reply
) -> Response:
    """Velocity by week and lead time by month of several teams, all of one build.

    `from` and `to` are compared with the first day of each week and month. As CSV a line is a
    week or a month of a team.
    """

    def find() -> Found:
        asked = [storable(team_id) for team_id in teams]
        rows = reply.marts.of_one_build(QUERY, {"teams": asked, **period._asdict()})
        for team_id, row in zip(teams, rows, strict=True):
            if row["id"] is None:
                raise unknown_team(team_id)
        figures = [
            spliced(
                TeamOf(team=Team(id=row["id"], name=row["name"])),
                velocity=row["velocity"],
                lead_time=row["lead_time"],
            )
            for row in rows
        ]
        head = Head(as_of=rows[0]["as_of"])
        text = spliced(head, data=f"[{','.join(figures)}]")
        return Found(rows[0]["build_id"], text, lambda: _lines(rows))

    return reply.reply(COLUMNS, find)


def _lines(teams: Iterable[DictRow]) -> Iterator[dict[str, Any]]:
    for team in teams:
        for row in (*json.loads(team["velocity"]), *json.loads(team["lead_time"])):
            yield {"team_id": team["id"], **row}
