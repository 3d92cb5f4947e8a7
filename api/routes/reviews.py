"""`GET /metrics/team/{team_id}/reviews`: one row per month."""

from datetime import date

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import TeamId, team_reader
from api.responses import Reply
from api.schemas import (
    MONTHS_OF_TEAMS,
    TEAM_PULL_REQUESTS,
    InPeriod,
    TeamHead,
    of_team,
    reply_with_periods,
)

router = APIRouter(tags=["metrics"], dependencies=[Depends(team_reader)])

# All deleted accounts are one reviewer: grouping puts their nulls together.
QUERY = of_team(
    """
    select coalesce(json_agg(shown order by shown.month), '[]')::text as data
    from (
        select
            months.month,
            months.prs_merged,
            coalesce(reviewed.prs_reviewed, 0) as prs_reviewed,
            1 - coalesce(reviewed.prs_reviewed, 0)::double precision / nullif(months.prs_merged, 0)
                as unreviewed_share,
            coalesce(reviewed.reviewers, 0) as reviewers,
            reviewed.busiest_share,
            waits.median_hours_to_first_review,
            months.is_complete
        from """
    + MONTHS_OF_TEAMS
    + """ as months
        left join (
            select
                reviewers.month,
                sum(reviewers.first_reviews)::bigint as prs_reviewed,
                count(*) as reviewers,
                max(reviewers.first_reviews)::double precision
                / nullif(sum(reviewers.first_reviews), 0) as busiest_share
            from (
                select
                    fct_team_pull_requests.month,
                    count(*) filter (where reviews.is_first) as first_reviews
                from """
    + TEAM_PULL_REQUESTS
    + """
                inner join marts.fct_pull_request_reviews as reviews
                    on fct_team_pull_requests.pull_request_id = reviews.pull_request_id
                where
                    fct_team_pull_requests.team_id = dim_teams.team_id
                    and fct_team_pull_requests.month >= coalesce(%(first)s::date, '-infinity')
                    and fct_team_pull_requests.month <= coalesce(%(last)s::date, 'infinity')
                group by fct_team_pull_requests.month, reviews.reviewer_id
            ) as reviewers
            group by reviewers.month
        ) as reviewed
            on months.month = reviewed.month
        left join (
            select
                fct_team_pull_requests.month,
                percentile_cont(0.5) within group (order by reviews.hours_to_review)
                    as median_hours_to_first_review
            from """
    + TEAM_PULL_REQUESTS
    + """
            inner join marts.fct_pull_request_reviews as reviews
                on fct_team_pull_requests.pull_request_id = reviews.pull_request_id
            where
                fct_team_pull_requests.team_id = dim_teams.team_id
                and fct_team_pull_requests.month >= coalesce(%(first)s::date, '-infinity')
                and fct_team_pull_requests.month <= coalesce(%(last)s::date, 'infinity')
                and reviews.is_first
            group by fct_team_pull_requests.month
        ) as waits
            on months.month = waits.month
        where
            months.team_id = dim_teams.team_id
            and (%(first)s::date is null or months.month >= %(first)s::date)
            and (%(last)s::date is null or months.month <= %(last)s::date)
    ) as shown
    """
)


class ReviewMonth(BaseModel):
    """How the pull requests that a team merged in one month were reviewed."""

    month: date = Field(
        description="First day of the month of `merged_at`, in the reporting timezone."
    )
    prs_merged: int = Field(
        description="Pull requests attributed to the team and merged in the month."
    )
    prs_reviewed: int = Field(
        description="Those with a review by someone who is neither the author nor a bot."
    )
    unreviewed_share: float | None = Field(
        description="Share of `prs_merged` without such a review, from 0 to 1; null without merges."
    )
    reviewers: int = Field(description="People who reviewed any of them, of any team.")
    busiest_share: float | None = Field(
        description="The largest share of `prs_reviewed` whose first review is by the same person, "
        "from 0 to 1; null without reviews."
    )
    median_hours_to_first_review: float | None = Field(
        description="Median of the hours not in draft from the opening to the first review; pull "
        "requests without a review are left out."
    )
    is_complete: bool = Field(
        description="The month ended at or before `as_of` and did not begin before the loaded "
        "history."
    )


class Reviews(TeamHead):
    """A team's months, oldest first, including months without merges."""

    data: list[ReviewMonth]


@router.get(
    "/metrics/team/{team_id}/reviews",
    response_model=Reviews,
    responses=openapi.rows(401, 403, 404, 422, 429, 503),
)
def reviews(team_id: TeamId, period: InPeriod, reply: Reply) -> Response:
    """How a team's merged pull requests were reviewed, by month.

    `from` and `to` are compared with each month's first day. No figure names a person.
    """
    return reply_with_periods(reply, ReviewMonth, QUERY, team_id, period, "month")
