"""`GET /teams`: the teams that a key may read, each with its members at `as_of`."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api import openapi
from api.responses import Found, Reply, found_rows
from api.schemas import Head

router = APIRouter(tags=["teams"])

QUERY = """
select
    build.build_id,
    build.as_of,
    build.reporting_timezone,
    teams.data
from build
left join lateral (
    select coalesce(json_agg(shown order by shown.id collate "C"), '[]')::text as data
    from (
        select
            dim_teams.team_id as id,
            dim_teams.team_name as name,
            dim_teams.description,
            coalesce(members.members, '[]') as members
        from marts.dim_teams
        left join lateral (
            select
                json_agg(
                    json_build_object(
                        'github_username', dim_team_memberships.github_username,
                        'allocation_weight', dim_team_memberships.allocation_weight
                    )
                    order by lower(dim_team_memberships.github_username collate "C")
                ) as members
            from marts.dim_team_memberships
            where
                dim_team_memberships.team_id = dim_teams.team_id
                and dim_team_memberships.joined_at <= build.as_of
                and (
                    dim_team_memberships.left_at is null
                    or build.as_of < dim_team_memberships.left_at
                )
        ) as members
            on true
        where %(teams)s::text[] is null or dim_teams.team_id = any(%(teams)s::text[])
    ) as shown
) as teams
    on true
"""


class Member(BaseModel):
    """A member of the team at `as_of`."""

    github_username: str
    allocation_weight: float = Field(
        description="The share of this person's work that counts for the team."
    )


class TeamOverview(BaseModel):
    """A team and its members."""

    id: str = Field(description="The `team_id` in the other paths.")
    name: str
    description: str | None
    members: list[Member] = Field(description="Members at `as_of`, sorted by username.")


class Teams(Head):
    """The teams that the key may read, sorted by id."""

    data: list[TeamOverview]


@router.get("/teams", response_model=Teams, responses=openapi.rows(401, 422, 429, 503, more=()))
def teams(reply: Reply) -> Response:
    """The teams that the key may read, each with its members at `as_of`."""
    allowed = None if reply.reader.teams is None else sorted(reply.reader.teams)

    def find() -> Found:
        (row,) = reply.marts.of_one_build(QUERY, {"teams": allowed})
        head = Head(as_of=row["as_of"], reporting_timezone=row["reporting_timezone"])
        return found_rows(row["build_id"], head, row["data"])

    return reply.reply(TeamOverview.model_fields, find)
