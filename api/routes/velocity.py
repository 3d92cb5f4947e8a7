"""`GET /metrics/team/{team_id}/velocity`: one row per week."""

from datetime import date

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import TeamId, team_reader
from api.responses import Reply
from api.schemas import InPeriod, TeamHead, of_team, periods_of_team, reply_with_periods

router = APIRouter(tags=["metrics"], dependencies=[Depends(team_reader)])

WEEKS = periods_of_team(
    "velocity_weekly",
    "week",
    """
        periods.week,
        periods.prs_merged,
        periods.weighted_prs_merged,
        periods.avg_cycle_time_hours,
        periods.weighted_avg_cycle_time_hours,
        periods.contributors,
        periods.is_complete
    """,
)
QUERY = of_team(WEEKS)


class VelocityWeek(BaseModel):
    """The pull requests that a team merged in one week."""

    week: date = Field(description="Monday of the week of `merged_at`, in the reporting timezone.")
    prs_merged: int = Field(
        description="Pull requests attributed to the team and merged in the week."
    )
    weighted_prs_merged: float = Field(description="The sum of their weights.")
    avg_cycle_time_hours: float | None = Field(
        description="Mean of `cycle_time_hours`, from opening to merge; null without merges."
    )
    weighted_avg_cycle_time_hours: float | None = Field(
        description="`sum(weight * cycle_time_hours) / sum(weight)`; "
        "null if the weights add up to 0."
    )
    contributors: int = Field(description="Number of distinct authors of these pull requests.")
    is_complete: bool = Field(
        description="The week ended at or before `as_of` and did not begin before the loaded "
        "history."
    )


class Velocity(TeamHead):
    """A team's weeks, oldest first, including weeks without merges."""

    data: list[VelocityWeek]


@router.get(
    "/metrics/team/{team_id}/velocity",
    response_model=Velocity,
    responses=openapi.rows(401, 403, 404, 422, 429, 503),
)
def velocity(team_id: TeamId, period: InPeriod, reply: Reply) -> Response:
    """A team's velocity by week; `from` and `to` are compared with each week's Monday."""
    return reply_with_periods(reply, VelocityWeek, QUERY, team_id, period, "week")
