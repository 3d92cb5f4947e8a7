"""`GET /teams`: the teams that a key may read, each with its members at `as_of`."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.access import Reader
from api.answers import AsOf, FromMarts
from api.problems import NoBuildError, responses

router = APIRouter(tags=["teams"])

QUERY = """
select
    dim_build.as_of,
    dim_teams.team_id as id,
    dim_teams.team_name as name,
    dim_teams.description,
    coalesce(members.members, '[]') as members
from marts.dim_build
left join marts.dim_teams
    on %(teams)s::text[] is null or dim_teams.team_id = any(%(teams)s::text[])
left join lateral (
    select
        json_agg(
            json_build_object(
                'github_username', dim_team_memberships.github_username,
                'allocation_weight', dim_team_memberships.allocation_weight
            )
            order by lower(dim_team_memberships.github_username) collate "C"
        ) as members
    from marts.dim_team_memberships
    where
        dim_team_memberships.team_id = dim_teams.team_id
        and dim_team_memberships.joined_at <= dim_build.as_of
        and (
            dim_team_memberships.left_at is null
            or dim_build.as_of < dim_team_memberships.left_at
        )
) as members
    on true
order by dim_teams.team_id collate "C"
"""


class Member(BaseModel):
    """Somebody who is in the team at `as_of`."""

    github_username: str
    allocation_weight: float = Field(
        description="The share of this person's work that counts for the team."
    )


class TeamOverview(BaseModel):
    """A team and who is in it."""

    id: str = Field(description="The `team_id` of every other path.")
    name: str
    description: str | None
    members: list[Member] = Field(description="Members at `as_of`, sorted by username.")


class Teams(BaseModel):
    """The teams that the key may read, sorted by id."""

    as_of: AsOf
    data: list[TeamOverview]


@router.get("/teams", responses=responses(401, 429, 503))
def teams(reader: Reader, marts: FromMarts) -> Teams:
    """The teams that the key may read, each with its members at `as_of`."""
    allowed = None if reader.teams is None else sorted(reader.teams)
    rows = marts.rows(QUERY, {"teams": allowed})
    if not rows:
        raise NoBuildError
    return Teams(
        as_of=rows[0]["as_of"],
        data=[TeamOverview.model_validate(row) for row in rows if row["id"] is not None],
    )
