"""`GET /metrics/compare`: velocity and lead time of several teams, all of one moment."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, create_model

from api import described
from api.access import Reader, expect_reader_of
from api.answers import AsOf, InPeriod, Team, storable, unknown_team
from api.replies import Found, Reply
from api.routes.lead_time import LeadTimeMonth
from api.routes.velocity import VelocityWeek

router = APIRouter(tags=["metrics"])

MAX_TEAMS = 20

QUERY = """
select
    build.build_id,
    build.as_of,
    build.snapshot,
    asked.team_id as asked_id,
    dim_teams.team_id as id,
    dim_teams.team_name as name,
    weeks.velocity,
    months.lead_time
from build
cross join unnest(%(teams)s::text[]) with ordinality as asked (team_id, place)
left join marts.dim_teams
    on dim_teams.team_id = asked.team_id
left join lateral (
    select coalesce(json_agg(velocity order by velocity.week), '[]') as velocity
    from marts.fct_team_velocity_weekly as velocity
    where
        velocity.team_id = dim_teams.team_id
        and (%(first)s::date is null or velocity.week >= %(first)s::date)
        and (%(last)s::date is null or velocity.week <= %(last)s::date)
) as weeks
    on true
left join lateral (
    select coalesce(json_agg(lead_time order by lead_time.month), '[]') as lead_time
    from marts.fct_team_lead_time_monthly as lead_time
    where
        lead_time.team_id = dim_teams.team_id
        and (%(first)s::date is null or lead_time.month >= %(first)s::date)
        and (%(last)s::date is null or lead_time.month <= %(last)s::date)
) as months
    on true
order by asked.place
"""


class TeamFigures(BaseModel):
    """A team's weeks and months, each oldest first."""

    team: Team
    velocity: list[VelocityWeek]
    lead_time: list[LeadTimeMonth]


class Comparison(BaseModel):
    """Several teams, in the order in which they were asked for."""

    as_of: AsOf
    data: list[TeamFigures]


_COLUMNS: dict[str, Any] = {
    name: (field.annotation | None, None)  # type: ignore[operator]
    for model in (VelocityWeek, LeadTimeMonth)
    for name, field in model.model_fields.items()
}
# As CSV: a line is a week or a month of a team and has nothing in the other's columns.
_KEYS: dict[str, Any] = {"team_id": (str, ...), "week": (None, None), "month": (None, None)}
Line = create_model("Line", **(_KEYS | _COLUMNS))


def compared(
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
        data = [TeamFigures.model_validate({"team": row, **row}) for row in rows]
        answer = Comparison(as_of=rows[0]["as_of"], data=data)
        return Found(rows[0]["build_id"], answer, list(_lines(data)))

    return reply.reply(Line, find)


def _lines(teams: Iterable[TeamFigures]) -> Iterator[BaseModel]:
    for each in teams:
        for row in (*each.velocity, *each.lead_time):
            yield Line(team_id=each.team.id, **row.model_dump())
