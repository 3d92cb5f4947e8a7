"""`GET /metrics/team/{team_id}/pull-requests`: those behind a figure, or those open now."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import TeamId, team_reader
from api.filters import CONDITION, InFilters
from api.responses import Reply
from api.routes import open_pull_requests
from api.routes.open_pull_requests import OpenPullRequest, OpenPullRequests
from api.schemas import (
    INSTANT,
    TEAM_PULL_REQUESTS,
    Cursor,
    InPeriod,
    TeamHead,
    of_team,
    reply_with_page,
)

router = APIRouter(tags=["metrics"], dependencies=[Depends(team_reader)])

# The day of a merge is computed as in the rollups, so that the days of a week contain its rows. One
# row more than the limit shows that there is a next page.
QUERY = of_team(
    """
    select
        coalesce(
            json_agg(shown order by placed.place)
            filter (where placed.place <= %(limit)s),
            '[]'
        )::text as data,
        count(*) > %(limit)s as has_more,
        max(placed.merged_at) filter (where placed.place = %(limit)s) as last_at,
        max(placed.pull_request_id) filter (where placed.place = %(limit)s) as last_id
    from (
        select
            merged.*,
            row_number() over (order by merged.merged_at desc, merged.pull_request_id desc) as place
        from (
            select
                fct_pull_requests.*,
                fct_team_pull_requests.weight
            from """
    + TEAM_PULL_REQUESTS
    + """
            inner join marts.fct_pull_requests
                on fct_team_pull_requests.pull_request_id = fct_pull_requests.pull_request_id
            where
                fct_team_pull_requests.team_id = dim_teams.team_id
                and fct_team_pull_requests.merged_at is not null
                and """
    + CONDITION
    + """
                and (
                    %(first)s::date is null
                    or (
                        fct_team_pull_requests.merged_at at time zone build.reporting_timezone
                    )::date >= %(first)s::date
                )
                and (
                    %(last)s::date is null
                    or (
                        fct_team_pull_requests.merged_at at time zone build.reporting_timezone
                    )::date <= %(last)s::date
                )
                and (
                    %(after_at)s::timestamptz is null
                    or (fct_team_pull_requests.merged_at, fct_team_pull_requests.pull_request_id)
                    < (%(after_at)s::timestamptz, %(after_id)s::text)
                )
            order by
                fct_team_pull_requests.merged_at desc, fct_team_pull_requests.pull_request_id desc
            limit %(limit)s + 1
        ) as merged
    ) as placed
    cross join lateral (
        select
            placed.repository,
            placed.number,
            placed.title,
            placed.url,
            placed.author,
            placed.weight,
"""
    + ",\n".join(
        f"{INSTANT.format(f'placed.{name}')} as {name}"
        for name in (
            "first_commit_at",
            "work_started_at",
            "created_at",
            "first_review_at",
            "merged_at",
        )
    )
    + """,
            placed.cycle_time_hours,
            placed.coding_hours,
            placed.draft_hours,
            placed.pickup_hours,
            placed.review_hours,
            placed.total_hours,
            placed.size
    ) as shown
"""
)


class MergedPullRequest(BaseModel):
    """A merged pull request that is attributed to the team."""

    repository: str = Field(description="`owner/name`.")
    number: int
    title: str
    url: str
    author: str | None = Field(description="The author's GitHub login.")
    weight: float = Field(
        description="The author's allocation weight in the team when the pull request was merged "
        "(or opened, depending on the configuration)."
    )
    first_commit_at: datetime | None = Field(description="Authored date of the first commit.")
    work_started_at: datetime = Field(description="The earlier of first_commit_at and created_at.")
    created_at: datetime
    first_review_at: datetime | None = Field(
        description="Earliest review by someone who is neither the author nor a bot."
    )
    merged_at: datetime
    cycle_time_hours: float | None = Field(description="`merged_at - created_at`.")
    coding_hours: float | None = Field(description="`created_at - work_started_at`.")
    draft_hours: float | None = Field(description="Time as a draft between opening and merge.")
    pickup_hours: float | None = Field(
        description="Time not in draft from opening to the first review, or to the merge."
    )
    review_hours: float | None = Field(
        description="Time not in draft from the first review to the merge; 0 without a review."
    )
    total_hours: float | None = Field(
        description="`merged_at - work_started_at`: coding + draft + pickup + review."
    )
    size: int | None = Field(description="Lines added and deleted.")


class PullRequests(TeamHead):
    """Merged pull requests of a team, newest merge first."""

    data: list[MergedPullRequest]
    next_cursor: str | None = Field(
        None, description="The `cursor` of the next page; absent on the last page."
    )


@router.get(
    "/metrics/team/{team_id}/pull-requests",
    response_model=PullRequests | OpenPullRequests,
    responses=openapi.rows(401, 403, 404, 422, 429, 503, more=("X-Period", "Link")),
)
def pull_requests(
    team_id: TeamId,
    period: InPeriod,
    reply: Reply,
    filters: InFilters,
    state: Annotated[
        Literal["merged", "open"],
        Query(description="`merged`: newest merge first; `open`: oldest first."),
    ] = "merged",
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows per page.")] = 100,
    cursor: Cursor = None,
) -> Response:
    """The merged pull requests behind a team's figures, or the open ones with their status and age.

    `from` and `to` are compared with the day of the merge, or of the opening, in the reporting
    timezone.
    """
    row: type[BaseModel] = MergedPullRequest
    query = QUERY
    if state == "open":
        row, query = OpenPullRequest, open_pull_requests.QUERY
    return reply_with_page(
        reply, row, query, team_id, period, limit=limit, cursor=cursor, **filters._asdict()
    )
