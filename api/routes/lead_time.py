"""`GET /metrics/team/{team_id}/lead-time`: one row per month."""

from datetime import date

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import TeamId, team_reader
from api.responses import Reply
from api.schemas import InPeriod, TeamHead, of_team, periods_of_team, reply_with_periods

router = APIRouter(tags=["metrics"], dependencies=[Depends(team_reader)])

MONTHS = periods_of_team(
    "lead_time_monthly",
    "month",
    """
        periods.month,
        periods.prs_merged,
        periods.median_lead_time_hours,
        periods.p95_lead_time_hours,
        periods.weighted_median_lead_time_hours,
        periods.weighted_p95_lead_time_hours,
        periods.median_coding_hours,
        periods.median_draft_hours,
        periods.median_pickup_hours,
        periods.median_review_hours,
        periods.is_complete
    """,
)
QUERY = of_team(MONTHS)

_WEIGHTED = (
    "of `cycle_time_hours`, weighted (inverted CDF): the smallest value at which the cumulative "
    "weight reaches {} times the total; null if the weights add up to 0."
)


class LeadTimeMonth(BaseModel):
    """Durations of the pull requests that a team merged in one month."""

    month: date = Field(
        description="First day of the month of `merged_at`, in the reporting timezone."
    )
    prs_merged: int = Field(
        description="Pull requests attributed to the team and merged in the month."
    )
    median_lead_time_hours: float | None = Field(
        description="Median of `cycle_time_hours`: from opening a pull request to its merge. "
        "Not DORA's change lead time, which runs from commit to production."
    )
    p95_lead_time_hours: float | None = Field(
        description="95th percentile of `cycle_time_hours`, interpolated."
    )
    weighted_median_lead_time_hours: float | None = Field(
        description="Median " + _WEIGHTED.format("0.5")
    )
    weighted_p95_lead_time_hours: float | None = Field(
        description="95th percentile " + _WEIGHTED.format("0.95")
    )
    median_coding_hours: float | None = Field(
        description="Median of `coding_hours`: from the start of work to the opening."
    )
    median_draft_hours: float | None = Field(
        description="Median of `draft_hours`: time as a draft between opening and merge."
    )
    median_pickup_hours: float | None = Field(
        description="Median of `pickup_hours`: time not in draft from opening to the first review."
    )
    median_review_hours: float | None = Field(
        description="Median of `review_hours`: time not in draft from the first review to merge."
    )
    is_complete: bool = Field(
        description="The month ended at or before `as_of` and did not begin before the loaded "
        "history."
    )


class LeadTime(TeamHead):
    """A team's months, oldest first, including months without merges."""

    data: list[LeadTimeMonth]


@router.get(
    "/metrics/team/{team_id}/lead-time",
    response_model=LeadTime,
    responses=openapi.rows(401, 403, 404, 422, 429, 503),
)
def lead_time(team_id: TeamId, period: InPeriod, reply: Reply) -> Response:
    """A team's lead time by month, from opening a pull request to its merge.

    `from` and `to` are compared with each month's first day. This is not DORA's change lead time
    (commit to production); for that, see `/delivery`.
    """
    return reply_with_periods(reply, LeadTimeMonth, QUERY, team_id, period, "month")
