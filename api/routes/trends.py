"""`GET /metrics/trends`: what changed for each team, worst first."""

import json
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import Reader, expect_reader_of
from api.database import FromMarts
from api.problems import ProblemError
from api.responses import Found, Reply, found_rows
from api.schemas import Head, storable
from api.trend_sentences import sentence

router = APIRouter(tags=["metrics"])

MAX_TEAMS = 20

# Sorted by the verdict, then by the ratio of the two values: the largest change first.
QUERY = """
select
    build.build_id,
    build.as_of,
    build.reporting_timezone,
    array(select team_id from marts.dim_teams where team_id = any(%(asked)s::text[])) as known,
    trends.data
from build
left join lateral (
    select
        coalesce(
            json_agg(
                shown
                order by
                    array_position(array['worse', 'better', 'as_usual'], shown.verdict),
                    greatest(shown.current_value, shown.earlier_value)
                    / nullif(least(shown.current_value, shown.earlier_value), 0) desc nulls first,
                    shown.team_id collate "C",
                    shown.metric collate "C",
                    shown.compared_with collate "C" desc
            ),
            '[]'
        )::text as data
    from (
        select
            fct_team_trends.team_id,
            dim_teams.team_name,
            fct_team_trends.metric,
            fct_team_trends.compared_with,
            fct_team_trends.verdict,
            fct_team_trends.current_value,
            fct_team_trends.earlier_value,
            fct_team_trends.sample_size,
            fct_team_trends.earlier_sample_size,
            fct_team_trends.first_week,
            fct_team_trends.earlier_first_week,
            fct_team_trends.probability_higher,
            fct_team_trends.phase,
            fct_team_trends.phase_hours,
            fct_team_trends.earlier_phase_hours
        from marts.fct_team_trends
        inner join marts.dim_teams
            on fct_team_trends.team_id = dim_teams.team_id
        where
            (%(teams)s::text[] is null or fct_team_trends.team_id = any(%(teams)s::text[]))
            and (
                cardinality(%(verdicts)s::text[]) = 0
                or fct_team_trends.verdict = any(%(verdicts)s::text[])
            )
    ) as shown
) as trends
    on true
"""

MetricName = Literal[
    "merged_per_week",
    "lead_time_hours",
    "deployments_per_week",
    "change_lead_time_hours",
    "change_fail_rate",
]
Verdict = Literal["worse", "better", "as_usual", "too_little_data"]
Phase = Literal["coding", "draft", "pickup", "review", "deploy"]


class Trend(BaseModel):
    """A metric of a team over the last 13 complete weeks, beside 13 earlier ones."""

    team_id: str
    team_name: str
    metric: MetricName
    compared_with: Literal["quarter_before", "year_before"] = Field(
        description="The 13 weeks before the last 13, or the last 13 weeks a year earlier."
    )
    verdict: Verdict = Field(
        description="`worse` or `better` if the change is large and clear, else `as_usual`."
    )
    current_value: float | None = Field(
        description="Median of the hours, or mean of the counts or of the rate; null without data."
    )
    earlier_value: float | None = Field(description="The same for the earlier 13 weeks.")
    sample_size: int = Field(
        description="Pull requests, deployments (for the change fail rate) or weeks (for counts "
        "per week) behind `current_value`."
    )
    earlier_sample_size: int = Field(description="The same for `earlier_value`.")
    first_week: date = Field(description="Monday of the first of the last 13 complete weeks.")
    earlier_first_week: date = Field(description="Monday of the first of the earlier 13 weeks.")
    probability_higher: float | None = Field(
        description="The share of pairs of a current and an earlier value in which the current "
        "one is higher; 0.5 means no change."
    )
    phase: Phase | None = Field(
        description="The phase whose median changed most in the direction of a lead time."
    )
    phase_hours: float | None = Field(description="Median hours of the phase.")
    earlier_phase_hours: float | None = Field(
        description="Median hours of the phase in the earlier 13 weeks."
    )
    sentence: str = Field(description="The trend in words.")


class Trends(Head):
    """What changed, worst first; a team has up to ten rows."""

    data: list[Trend]


async def asked_teams(
    reader: Reader,
    marts: FromMarts,
    team: Annotated[
        list[str],
        Query(
            default_factory=list,
            max_length=MAX_TEAMS,
            description="A team's `id`; repeat it for more teams. Without it, all teams that the "
            "key may read.",
        ),
    ],
) -> list[str]:
    """Dependency: the requested teams. Raises `ProblemError` 403 if the key may not read one."""
    await expect_reader_of(team, reader, marts)
    return team


@router.get(
    "/metrics/trends",
    response_model=Trends,
    responses=openapi.rows(401, 403, 404, 422, 429, 503, more=()),
)
def trends(
    teams: Annotated[list[str], Depends(asked_teams)],
    reply: Reply,
    verdict: Annotated[
        list[Verdict],
        Query(default_factory=list, description="Return only these verdicts; repeat it for more."),
    ],
) -> Response:
    """What changed for each team, worst first.

    The last 13 complete weeks beside the 13 before and the same 13 a year earlier. A verdict other
    than `as_usual` means that the change is large and clear; docs/trends.md has the rule.
    """

    def find() -> Found:
        allowed = reply.reader.teams
        given = {
            "asked": [storable(team_id) for team_id in teams],
            "teams": [storable(team_id) for team_id in teams]
            or (None if allowed is None else sorted(allowed)),
            "verdicts": list(verdict),
        }
        (row,) = reply.marts.of_one_build(QUERY, given)
        for team_id in teams:
            if team_id not in row["known"]:
                raise ProblemError(
                    404,
                    f"There are no trends of {team_id!r}: /teams lists the ids, groups have none.",
                )
        rows = json.loads(row["data"])
        data = json.dumps([each | {"sentence": sentence(each)} for each in rows])
        head = Head(as_of=row["as_of"], reporting_timezone=row["reporting_timezone"])
        return found_rows(row["build_id"], head, data)

    return reply.reply(list(Trend.model_fields), find)
