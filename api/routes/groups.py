"""`GET /groups`: the groups of teams that a key may read, each with its teams at `as_of`."""

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
    groups.data
from build
left join lateral (
    select coalesce(json_agg(shown order by shown.id collate "C"), '[]')::text as data
    from (
        select
            dim_groups.group_id as id,
            dim_groups.group_name as name,
            dim_groups.parent_group_id as parent,
            teams.teams
        from marts.dim_groups
        cross join lateral (
            select
                coalesce(
                    json_agg(dim_group_teams.team_id order by dim_group_teams.team_id collate "C")
                    filter (where dim_group_teams.is_current),
                    '[]'
                ) as teams,
                bool_and(dim_group_teams.team_id = any(%(teams)s::text[])) as may_be_read
            from marts.dim_group_teams
            where dim_group_teams.group_id = dim_groups.group_id
        ) as teams
        where
            %(teams)s::text[] is null
            or (teams.may_be_read and dim_groups.group_id <> 'all')
    ) as shown
) as groups
    on true
"""


class GroupOverview(BaseModel):
    """A group and its teams."""

    id: str = Field(description="The `team_id` in the other paths.")
    name: str = Field(description="The path in the configuration, or `All teams`.")
    parent: str | None = Field(description="The group that contains this one; null for `all`.")
    teams: list[str] = Field(description="Ids of the teams in the group at `as_of`, sorted.")


class Groups(Head):
    """The groups that the key may read, sorted by id."""

    data: list[GroupOverview]


@router.get("/groups", response_model=Groups, responses=openapi.rows(401, 422, 429, 503, more=()))
def groups(reply: Reply) -> Response:
    """The groups of teams that the key may read, each with its teams at `as_of`.

    A key for some teams may read a group if it may read every team that is or was in it. The group
    `all` contains every team; reading it takes a key for all teams.
    """
    allowed = None if reply.reader.teams is None else sorted(reply.reader.teams)

    def find() -> Found:
        (row,) = reply.marts.of_one_build(QUERY, {"teams": allowed})
        head = Head(as_of=row["as_of"], reporting_timezone=row["reporting_timezone"])
        return found_rows(row["build_id"], head, row["data"])

    return reply.reply(GroupOverview.model_fields, find)
