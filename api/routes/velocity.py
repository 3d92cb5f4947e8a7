"""`GET /metrics/team/{team_id}/velocity`: one row per week."""

from datetime import date

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import TeamId, team_reader
from api.filters import CONDITION, Filters, InFilters
from api.responses import Reply
from api.schemas import (
    TEAM_PULL_REQUESTS,
    WEEKS_OF_TEAMS,
    InPeriod,
    TeamHead,
    of_team,
    periods_of_team,
    reply_with_periods,
)

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
# The same weeks, summed from the pull requests that the filters leave. As in the mart, hours are
# summed as whole microseconds, so that the order of the rows does not matter.
FILTERED = of_team(
    """
    select coalesce(json_agg(shown order by shown.week), '[]')::text as data
    from (
        select
            weeks.week,
            coalesce(summed.prs_merged, 0) as prs_merged,
            coalesce(summed.weighted_prs_merged, 0)::numeric(12, 2) as weighted_prs_merged,
            (summed.microseconds / 3600000000)::double precision as avg_cycle_time_hours,
            (summed.weighted_microseconds / 3600000000)::double precision
                as weighted_avg_cycle_time_hours,
            coalesce(summed.contributors, 0) as contributors,
            weeks.is_complete
        from """
    + WEEKS_OF_TEAMS
    + """ as weeks
        left join (
            select
                merged.week,
                count(*) as prs_merged,
                sum(merged.weight) as weighted_prs_merged,
                avg(merged.microseconds) as microseconds,
                sum(merged.weight * merged.microseconds) / nullif(sum(merged.weight), 0)
                    as weighted_microseconds,
                count(distinct merged.author_id) as contributors
            from (
                select
                    fct_team_pull_requests.week,
                    fct_team_pull_requests.weight,
                    fct_pull_requests.author_id,
                    (fct_pull_requests.cycle_time_hours * 3600000000)::bigint as microseconds
                from """
    + TEAM_PULL_REQUESTS
    + """
                inner join marts.fct_pull_requests
                    on fct_team_pull_requests.pull_request_id = fct_pull_requests.pull_request_id
                where
                    fct_team_pull_requests.team_id = dim_teams.team_id
                    and fct_team_pull_requests.week >= coalesce(%(first)s::date, '-infinity')
                    and fct_team_pull_requests.week <= coalesce(%(last)s::date, 'infinity')
                    and """
    + CONDITION
    + """
            ) as merged
            group by merged.week
        ) as summed
            on weeks.week = summed.week
        where
            weeks.team_id = dim_teams.team_id
            and (%(first)s::date is null or weeks.week >= %(first)s::date)
            and (%(last)s::date is null or weeks.week <= %(last)s::date)
    ) as shown
"""
)


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
def velocity(team_id: TeamId, period: InPeriod, filters: InFilters, reply: Reply) -> Response:
    """A team's velocity by week; `from` and `to` are compared with each week's Monday.

    With `repository`, `label` or `base`, each figure counts only the pull requests that match.
    """
    query = QUERY if filters == Filters() else FILTERED
    return reply_with_periods(
        reply, VelocityWeek, query, team_id, period, "week", **filters._asdict()
    )
