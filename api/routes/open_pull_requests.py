"""`GET /metrics/team/{team_id}/pull-requests?state=open`: the team's open pull requests."""

from datetime import datetime
from typing import Annotated, LiteralString

from pydantic import BaseModel, Field

from api.filters import CONDITION
from api.schemas import INSTANT, TEAM_PULL_REQUESTS, TeamHead, of_team

# "Recently" in the summary: 13 weeks before `as_of`.
RECENT_DAYS = 91

_INSTANTS: LiteralString = ",\n".join(
    f"{INSTANT.format(f'page.{name}')} as {name}"
    for name in ("created_at", "first_review_at", "status_since")
)
# One row more than the limit shows that there is a next page. The summary is about all pages.
QUERY = of_team(
    f"""
    with opened as (
        select
            fct_pull_requests.*,
            fct_open_pull_requests.status,
            fct_open_pull_requests.status_since,
            fct_open_pull_requests.age_hours,
            fct_open_pull_requests.waiting_hours,
            fct_open_pull_requests.reviews,
            fct_open_pull_requests.reviewers,
            fct_team_pull_requests.weight
        from marts.fct_open_pull_requests
        inner join marts.fct_pull_requests
            on fct_open_pull_requests.pull_request_id = fct_pull_requests.pull_request_id
        inner join {TEAM_PULL_REQUESTS}
            on fct_open_pull_requests.pull_request_id = fct_team_pull_requests.pull_request_id
        where
            fct_team_pull_requests.team_id = dim_teams.team_id
            and {CONDITION}
            and (
                %(first)s::date is null
                or (fct_pull_requests.created_at at time zone build.reporting_timezone)::date
                >= %(first)s::date
            )
            and (
                %(last)s::date is null
                or (fct_pull_requests.created_at at time zone build.reporting_timezone)::date
                <= %(last)s::date
            )
    ),
    recent as (
        select
            count(*) as merged,
            percentile_cont(0.5) within group (order by fct_pull_requests.cycle_time_hours)
                as median_cycle_time_hours
        from {TEAM_PULL_REQUESTS}
        inner join marts.fct_pull_requests
            on fct_team_pull_requests.pull_request_id = fct_pull_requests.pull_request_id
        where
            fct_team_pull_requests.team_id = dim_teams.team_id
            and fct_team_pull_requests.merged_at >= build.as_of - interval '{RECENT_DAYS} days'
            and fct_team_pull_requests.merged_at < build.as_of
            and {CONDITION}
    ),
    page as (
        select
            opened.*,
            row_number() over (order by opened.created_at, opened.pull_request_id) as place
        from opened
        where
            %(after_at)s::timestamptz is null
            or (opened.created_at, opened.pull_request_id)
            > (%(after_at)s::timestamptz, %(after_id)s::text)
        order by opened.created_at, opened.pull_request_id
        limit %(limit)s + 1
    ),
    listed as (
        select
            coalesce(
                json_agg(shown order by page.place) filter (where page.place <= %(limit)s),
                '[]'
            )::text as data,
            count(*) > %(limit)s as has_more,
            max(page.created_at) filter (where page.place = %(limit)s) as last_at,
            max(page.pull_request_id) filter (where page.place = %(limit)s) as last_id
        from page
        cross join lateral (
            select
                page.repository,
                page.number,
                page.title,
                page.url,
                page.author,
                page.weight,
                page.status,
                {_INSTANTS},
                page.age_hours,
                page.waiting_hours,
                page.reviews,
                page.reviewers,
                page.size
        ) as shown
    ),
    counted as (
        select
            count(*) as open,
            count(*) filter (where opened.status = 'draft') as draft,
            count(*) filter (where opened.status = 'waiting_for_review') as waiting_for_review,
            count(*) filter (where opened.status = 'changes_requested') as changes_requested,
            count(*) filter (where opened.status = 'approved') as approved,
            percentile_cont(0.5) within group (order by opened.age_hours) as median_age_hours
        from opened
    )
    select
        listed.*,
        (
            select to_json(summary)::text
            from (
                select
                    counted.*,
                    recent.merged as recently_merged,
                    recent.median_cycle_time_hours
            ) as summary
        ) as summary
    from listed
    cross join counted
    cross join recent
"""
)


class OpenPullRequest(BaseModel):
    """An open pull request that is attributed to the team."""

    repository: str = Field(description="`owner/name`.")
    number: int
    title: str
    url: str
    author: str | None = Field(description="The author's GitHub login.")
    weight: float = Field(
        description="The author's allocation weight in the team when the pull request was opened."
    )
    status: Annotated[
        str,
        Field(
            json_schema_extra={
                "enum": ["draft", "waiting_for_review", "changes_requested", "approved"]
            }
        ),
    ] = Field(
        description="`draft`; `changes_requested`: some reviewer's last decision is a request for "
        "changes; `approved`: every decision is an approval; `waiting_for_review`: nobody has "
        "decided."
    )
    created_at: datetime
    first_review_at: datetime | None = Field(
        description="Earliest review by someone who is neither the author nor a bot."
    )
    status_since: datetime | None = Field(
        description="Since when it has this status; null if a review was dismissed, because "
        "GitHub does not say when."
    )
    age_hours: float = Field(description="From the opening to `as_of`.")
    waiting_hours: float | None = Field(description="From `status_since` to `as_of`.")
    reviews: int = Field(
        description="Reviews so far by someone who is neither the author nor a bot."
    )
    reviewers: int = Field(description="People who gave these reviews.")
    size: int | None = Field(description="Lines added and deleted.")


class OpenSummary(BaseModel):
    """The team's open pull requests, on all pages, beside what it merged recently."""

    open: int = Field(description="Open pull requests; the next four add up to this.")
    draft: int
    waiting_for_review: int
    changes_requested: int
    approved: int
    median_age_hours: float | None = Field(
        description="Median of `age_hours`; null if none is open."
    )
    recently_merged: int = Field(
        description=f"Pull requests that the team merged in the {RECENT_DAYS} days before `as_of`."
    )
    median_cycle_time_hours: float | None = Field(
        description="Median of their `cycle_time_hours`, to compare ages with; null if none."
    )


class OpenPullRequests(TeamHead):
    """Open pull requests of a team, oldest first."""

    summary: OpenSummary
    data: list[OpenPullRequest]
    next_cursor: str | None = Field(
        None, description="The `cursor` of the next page; absent on the last page."
    )
