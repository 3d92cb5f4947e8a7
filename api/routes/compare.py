"""`GET /metrics/compare`: the figures of several teams, all from one build."""

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, LiteralString, NamedTuple

from fastapi import APIRouter, Depends, Query, Response
from psycopg.rows import DictRow
from pydantic import Field

from api import openapi
from api.auth import Reader, expect_reader_of
from api.database import FromMarts
from api.problems import ParameterError
from api.responses import Found, Reply, spliced
from api.routes import delivery, lead_time, velocity
from api.routes.delivery import DeliveryMonth, DeliveryWeek
from api.routes.lead_time import LeadTimeMonth
from api.routes.velocity import VelocityWeek
from api.schemas import TEAMS, DaysHead, InPeriod, Team, TeamOf, hull, storable, unknown_team

router = APIRouter(tags=["metrics"])

MAX_TEAMS = 20

_TEAMS: LiteralString = (
    """
select
    build.build_id,
    build.as_of,
    build.reporting_timezone,
    dim_teams.team_id as id,
    dim_teams.team_name as name,
    weeks.data as week,
    months.data as month
from build
cross join unnest(%(teams)s::text[]) with ordinality as asked (team_id, place)
left join """
    + TEAMS
    + """
    on dim_teams.team_id = asked.team_id
"""
)
_BESIDE: LiteralString = "left join lateral ({}) as {} on true\n"


def _query(weeks: LiteralString, months: LiteralString) -> LiteralString:
    """Return a query that yields one row per team, in the requested order."""
    beside = _BESIDE.format(weeks, "weeks") + _BESIDE.format(months, "months")
    return _TEAMS + beside + "order by asked.place"


class TeamFigures(TeamOf):
    """A team's weeks and months, each oldest first."""

    velocity: list[VelocityWeek] | None = Field(
        None, description="The team's weeks, with `figures=flow`."
    )
    lead_time: list[LeadTimeMonth] | None = Field(
        None, description="The team's months, with `figures=flow`."
    )
    delivery_weekly: list[DeliveryWeek] | None = Field(
        None, description="The team's weeks, with `figures=delivery`."
    )
    delivery_monthly: list[DeliveryMonth] | None = Field(
        None, description="The team's months, with `figures=delivery`."
    )


class Comparison(DaysHead):
    """Several teams, in the requested order."""

    data: list[TeamFigures]


class _Figure(NamedTuple):
    """The name of a unit's rows in the response, and their columns."""

    name: str
    columns: list[str]


class _Figures(NamedTuple):
    """A query, and the rows that it returns for each unit."""

    query: LiteralString
    units: dict[Literal["week", "month"], _Figure]


FLOW_QUERY = _query(velocity.WEEKS, lead_time.MONTHS)
_FIGURES = {
    "flow": _Figures(
        FLOW_QUERY,
        {
            "week": _Figure("velocity", list(VelocityWeek.model_fields)),
            "month": _Figure("lead_time", list(LeadTimeMonth.model_fields)),
        },
    ),
    "delivery": _Figures(
        _query(delivery.WEEKS, delivery.MONTHS),
        {
            "week": _Figure("delivery_weekly", list(DeliveryWeek.model_fields)),
            "month": _Figure("delivery_monthly", list(DeliveryMonth.model_fields)),
        },
    ),
}


async def compared(
    reader: Reader,
    marts: FromMarts,
    team: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=MAX_TEAMS,
            description="The `id` of a team or group, as listed by `/teams` and `/groups`; repeat "
            "it for each.",
        ),
    ],
) -> list[str]:
    """Dependency: the requested teams, each once.

    Raises `ProblemError` 403 if the key may not read one of them.
    """
    teams = list(dict.fromkeys(team))
    await expect_reader_of(teams, reader, marts)
    return teams


@router.get(
    "/metrics/compare",
    response_model=Comparison,
    responses=openapi.rows(401, 403, 404, 422, 429, 503),
)
def compare(
    teams: Annotated[list[str], Depends(compared)],
    period: InPeriod,
    reply: Reply,
    figures: Annotated[
        Literal["flow", "delivery"],
        Query(description="`flow`: velocity and lead time; `delivery`: DORA's five metrics."),
    ] = "flow",
    unit: Annotated[
        Literal["week", "month"] | None,
        Query(
            description="Return only weeks or only months; of `flow`, only velocity or only lead "
            "time. Required for CSV."
        ),
    ] = None,
) -> Response:
    """Figures of several teams, all from one build.

    Velocity by week and lead time by month, or delivery figures by week and by month. `from` and
    `to` are compared with the first day of each week or month. CSV requires `unit`.
    """
    if unit is None and reply.is_csv:
        raise ParameterError("unit", "is required for CSV; add unit=week or unit=month")
    wanted = _FIGURES[figures]
    units: list[Literal["week", "month"]] = ["week", "month"] if unit is None else [unit]
    columns = [column for each in units for column in wanted.units[each].columns]

    def find() -> Found:
        asked = [storable(team_id) for team_id in teams]
        rows = reply.marts.of_one_build(wanted.query, {"teams": asked, **period._asdict()})
        for team_id, row in zip(teams, rows, strict=True):
            if row["id"] is None:
                raise unknown_team(team_id)
        data = [
            spliced(
                TeamOf(team=Team(id=row["id"], name=row["name"])),
                **{wanted.units[each].name: row[each] for each in units},
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
        return Found(rows[0]["build_id"], text, lambda: _lines(rows, units[0]), days=days)

    return reply.reply(["team_id", *columns], find)


def _lines(teams: Iterable[DictRow], unit: str) -> Iterator[dict[str, Any]]:
    for team in teams:
        for row in json.loads(team[unit]):
            yield {"team_id": team["id"], **row}
