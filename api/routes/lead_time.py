"""`GET /metrics/team/{team_id}/lead-time`: one row per month."""

from datetime import date

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import TeamId, team_reader
from api.filters import CONDITION, Filters, InFilters
from api.responses import Reply
from api.schemas import (
    MONTHS_OF_TEAMS,
    TEAM_PULL_REQUESTS,
    InPeriod,
    TeamHead,
    of_team,
    periods_of_team,
    reply_with_periods,
)

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
# The same months, computed from the pull requests that the filters leave.
FILTERED = of_team(
    """
    select coalesce(json_agg(shown order by shown.month), '[]')::text as data
    from (
        select
            months.month,
            coalesce(computed.prs_merged, 0) as prs_merged,
            computed.median_lead_time_hours,
            computed.p95_lead_time_hours,
            computed.weighted_median_lead_time_hours,
            computed.weighted_p95_lead_time_hours,
            computed.median_coding_hours,
            computed.median_draft_hours,
            computed.median_pickup_hours,
            computed.median_review_hours,
            months.is_complete
        from """
    + MONTHS_OF_TEAMS
    + """ as months
        left join (
            select
                merged.month,
                count(*) as prs_merged,
                percentile_cont(0.5) within group (order by merged.cycle_time_hours)
                    as median_lead_time_hours,
                percentile_cont(0.95) within group (order by merged.cycle_time_hours)
                    as p95_lead_time_hours,
                min(merged.cycle_time_hours) filter (
                    where merged.weight > 0
                    and merged.cumulative_weight >= 0.5 * merged.total_weight
                ) as weighted_median_lead_time_hours,
                min(merged.cycle_time_hours) filter (
                    where merged.weight > 0
                    and merged.cumulative_weight >= 0.95 * merged.total_weight
                ) as weighted_p95_lead_time_hours,
                percentile_cont(0.5) within group (order by merged.coding_hours)
                    as median_coding_hours,
                percentile_cont(0.5) within group (order by merged.draft_hours)
                    as median_draft_hours,
                percentile_cont(0.5) within group (order by merged.pickup_hours)
                    as median_pickup_hours,
                percentile_cont(0.5) within group (order by merged.review_hours)
                    as median_review_hours
            from (
                select
                    fct_team_pull_requests.month,
                    fct_team_pull_requests.weight,
                    fct_pull_requests.cycle_time_hours,
                    fct_pull_requests.coding_hours,
                    fct_pull_requests.draft_hours,
                    fct_pull_requests.pickup_hours,
                    fct_pull_requests.review_hours,
                    sum(fct_team_pull_requests.weight) over (
                        partition by fct_team_pull_requests.month
                        order by fct_pull_requests.cycle_time_hours
                    ) as cumulative_weight,
                    sum(fct_team_pull_requests.weight) over (
                        partition by fct_team_pull_requests.month
                    ) as total_weight
                from """
    + TEAM_PULL_REQUESTS
    + """
                inner join marts.fct_pull_requests
                    on fct_team_pull_requests.pull_request_id = fct_pull_requests.pull_request_id
                where
                    fct_team_pull_requests.team_id = dim_teams.team_id
                    and fct_team_pull_requests.month >= coalesce(%(first)s::date, '-infinity')
                    and fct_team_pull_requests.month <= coalesce(%(last)s::date, 'infinity')
                    and """
    + CONDITION
    + """
            ) as merged
            group by merged.month
        ) as computed
            on months.month = computed.month
        where
            months.team_id = dim_teams.team_id
            and (%(first)s::date is null or months.month >= %(first)s::date)
            and (%(last)s::date is null or months.month <= %(last)s::date)
    ) as shown
"""
)

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
def lead_time(team_id: TeamId, period: InPeriod, filters: InFilters, reply: Reply) -> Response:
    """A team's lead time by month, from opening a pull request to its merge.

    `from` and `to` are compared with each month's first day. This is not DORA's change lead time
    (commit to production); for that, see `/delivery`. With `repository`, `label` or `base`, each
    figure is computed from the pull requests that match.
    """
    query = QUERY if filters == Filters() else FILTERED
    return reply_with_periods(
        reply, LeadTimeMonth, query, team_id, period, "month", **filters._asdict()
    )
