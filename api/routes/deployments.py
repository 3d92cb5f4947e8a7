"""`GET /metrics/team/{team_id}/deployments`: the deployments behind a delivery figure."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import TeamId, team_reader
from api.responses import Reply
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

# A release of a year's work would exceed Lambda's response limit of 6 MB.
MAX_CHANGES = 100
# The day of a deployment is computed as in the rollups. One row more than the limit shows that
# there is a next page.
QUERY = of_team(
    """
    select
        coalesce(
            json_agg(shown order by placed.place)
            filter (where placed.place <= %(limit)s),
            '[]'
        )::text as data,
        count(*) > %(limit)s as has_more,
        max(placed.deployed_at) filter (where placed.place = %(limit)s) as last_at,
        max(placed.deployment_id) filter (where placed.place = %(limit)s) as last_id
    from (
        select
            deployed.*,
            row_number() over (
                order by deployed.deployed_at desc, deployed.deployment_id desc
            ) as place
        from (
            select
                fct_deployments.*,
                fct_team_deployments.share
            from (
                select
                    team_id,
                    deployment_id,
                    share
                from marts.fct_team_deployments
                union all
                select
                    group_id,
                    deployment_id,
                    share
                from marts.fct_group_deployments
            ) as fct_team_deployments
            inner join marts.fct_deployments
                on fct_team_deployments.deployment_id = fct_deployments.deployment_id
            where
                fct_team_deployments.team_id = dim_teams.team_id
                and (
                    %(first)s::date is null
                    or (
                        fct_deployments.deployed_at at time zone build.reporting_timezone
                    )::date >= %(first)s::date
                )
                and (
                    %(last)s::date is null
                    or (
                        fct_deployments.deployed_at at time zone build.reporting_timezone
                    )::date <= %(last)s::date
                )
                and (
                    %(after_at)s::timestamptz is null
                    or (fct_deployments.deployed_at, fct_deployments.deployment_id)
                    < (%(after_at)s::timestamptz, %(after_id)s::text)
                )
            order by fct_deployments.deployed_at desc, fct_deployments.deployment_id desc
            limit %(limit)s + 1
        ) as deployed
    ) as placed
    cross join lateral (
        select coalesce(json_agg(change order by change.repository, change.number), '[]') as listed
        from (
            select
                fct_pull_requests.repository,
                fct_pull_requests.number,
                fct_pull_requests.title,
                fct_pull_requests.url,
                fct_pull_requests.author,
                coalesce(fct_team_pull_requests.weight, 0) as weight
            from marts.fct_deployment_pull_requests
            inner join marts.fct_pull_requests
                on fct_deployment_pull_requests.pull_request_id = fct_pull_requests.pull_request_id
            left join """
    + TEAM_PULL_REQUESTS
    + """
                on fct_pull_requests.pull_request_id = fct_team_pull_requests.pull_request_id
                and fct_team_pull_requests.team_id = dim_teams.team_id
            where fct_deployment_pull_requests.deployment_id = placed.deployment_id
            order by weight desc, fct_pull_requests.repository, fct_pull_requests.number
            limit %(max_changes)s
        ) as change
    ) as changes
    cross join lateral (
        select coalesce(json_agg(incident order by incident.started_at), '[]') as listed
        from (
            select
                fct_incidents.title,
                fct_incidents.url,
                fct_incidents.severity,
"""
    + ",\n".join(
        f"{INSTANT.format(f'fct_incidents.{name}')} as {name}"
        for name in ("started_at", "ended_at")
    )
    + """,
                fct_incidents.link
            from marts.fct_incidents
            where fct_incidents.deployment_id = placed.deployment_id
        ) as incident
    ) as incidents
    cross join lateral (
        select
            placed.deployment_id,
            placed.target,
            placed.repository,
            placed.source,
            placed.is_proxy,
            placed.is_approximate,
            placed.environment,
            placed.url,
            placed.commit_sha,
            placed.kind,
            placed.share,
"""
    + ",\n".join(
        f"{INSTANT.format(f'placed.{name}')} as {name}"
        for name in ("requested_at", "deployed_at", "recovered_at")
    )
    + """,
            placed.recovery_hours,
            placed.is_failed,
            placed.failure_causes,
            placed.is_rework,
            placed.changes_added,
            placed.changes_withdrawn,
            changes.listed as changes,
            incidents.listed as incidents
    ) as shown
"""
).replace("%(max_changes)s", str(MAX_CHANGES))


class DeployedChange(BaseModel):
    """A pull request that the deployment added or withdrew."""

    repository: str = Field(description="`owner/name`.")
    number: int
    title: str
    url: str
    author: str | None = Field(description="The author's GitHub login.")
    weight: float = Field(description="The team's weight on it; 0 if not attributed to the team.")


class LinkedIncident(BaseModel):
    """An incident attributed to the deployment."""

    title: str | None
    url: str | None
    severity: str | None = Field(description="The severity as named by the source.")
    started_at: datetime
    ended_at: datetime | None = Field(
        description="When it ended: for one that a pull request fixed, when the fix was deployed. "
        "Null while it is open."
    )
    link: str = Field(
        description="How it is linked: the incident names the `deployment`, the `commit` or the "
        "`pull_request`; or the link is `inferred` from the start of the incident."
    )


class TeamDeployment(BaseModel):
    """A deployment or rollback that contains a change of the team."""

    deployment_id: str
    target: str = Field(description="The service that a rule names, or the repository.")
    repository: str = Field(description="`owner/name`.")
    source: str = Field(
        description="`deployments`, `releases`, `tags`, `workflow` or `merges` of GitHub."
    )
    is_proxy: bool = Field(description="True if a merge counts as the deployment.")
    is_approximate: bool = Field(description="True if `deployed_at` is the time of the commit.")
    environment: str | None
    url: str | None = Field(description="Its page or log.")
    commit_sha: str | None
    kind: str = Field(description="`deploy` or `rollback`.")
    share: float = Field(
        description="Sum of the team's weights on its changes, divided by the number of changes."
    )
    requested_at: datetime
    deployed_at: datetime = Field(description="When it first succeeded.")
    recovered_at: datetime | None = Field(description="When the failed deployment recovered.")
    recovery_hours: float | None = Field(description="`recovered_at - deployed_at`.")
    is_failed: bool
    failure_causes: list[str] = Field(
        description="Why it failed: `incident`, `rollback`, `revert`, `hotfix`, `status`."
    )
    is_rework: bool = Field(
        description="True for a rollback, and for a deployment that contains only repairs."
    )
    changes_added: int = Field(description="Number of pull requests that it deployed.")
    changes_withdrawn: int = Field(description="Number of pull requests that it withdrew.")
    changes: list[DeployedChange] = Field(
        description=f"At most {MAX_CHANGES} of these pull requests; those of the team come first."
    )
    incidents: list[LinkedIncident] = Field(
        description="The incidents attributed to the deployment."
    )


class TeamDeployments(TeamHead):
    """Deployments with a change of the team, newest first."""

    data: list[TeamDeployment]
    next_cursor: str | None = Field(
        None, description="The `cursor` of the next page; absent on the last page."
    )


@router.get(
    "/metrics/team/{team_id}/deployments",
    response_model=TeamDeployments,
    responses=openapi.rows(401, 403, 404, 422, 429, 503, more=("X-Period", "Link")),
)
def deployments(
    team_id: TeamId,
    period: InPeriod,
    reply: Reply,
    limit: Annotated[int, Query(ge=1, le=200, description="Rows per page.")] = 50,
    cursor: Cursor = None,
) -> Response:
    """The deployments and rollbacks behind a team's delivery figures, newest first.

    Each has its changes, its causes of failure and its incidents. `from` and `to` are compared with
    the day of the deployment in the reporting timezone.
    """
    return reply_with_page(
        reply, TeamDeployment, QUERY, team_id, period, limit=limit, cursor=cursor
    )
