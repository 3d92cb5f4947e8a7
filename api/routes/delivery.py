"""`GET /metrics/team/{team_id}/delivery`: DORA's five metrics, one row per week or month."""

from datetime import date
from typing import Annotated, Literal, LiteralString

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from api import openapi
from api.auth import TeamId, team_reader
from api.responses import Reply
from api.schemas import InPeriod, TeamHead, of_team, periods_of_team, reply_with_periods

router = APIRouter(tags=["metrics"], dependencies=[Depends(team_reader)])

_FIGURES: LiteralString = """
        periods.deployments,
        periods.weighted_deployments,
        periods.deployment_days,
        periods.rollbacks,
        periods.changes_deployed,
        periods.weighted_changes_deployed,
        periods.median_change_lead_time_hours,
        periods.p95_change_lead_time_hours,
        periods.weighted_median_change_lead_time_hours,
        periods.weighted_p95_change_lead_time_hours,
        periods.median_deploy_hours,
        periods.avg_coding_hours,
        periods.avg_draft_hours,
        periods.avg_pickup_hours,
        periods.avg_review_hours,
        periods.avg_deploy_hours,
        periods.failed_deployments,
        periods.failed_by_incident,
        periods.failed_by_rollback,
        periods.failed_by_revert,
        periods.failed_by_hotfix,
        periods.failed_by_status,
        periods.change_fail_rate,
        periods.weighted_change_fail_rate,
        periods.rework_deployments,
        periods.deployment_rework_rate,
        periods.weighted_deployment_rework_rate,
        periods.failures_recovered,
        periods.median_recovery_hours,
        periods.weighted_median_recovery_hours,
        periods.failures_open,
        periods.is_complete,
        periods.is_settled
"""
WEEKS = periods_of_team("delivery_weekly", "week", "periods.week," + _FIGURES)
MONTHS = periods_of_team("delivery_monthly", "month", "periods.month," + _FIGURES)


class DeliveryFigures(BaseModel):
    """A team's work that reached production; all null for periods that were not measured."""

    deployments: int | None = Field(
        description="Deployments that added a change of the team; 0 if nothing was deployed, "
        "null if deployments were not measured yet."
    )
    weighted_deployments: float | None = Field(
        description="Sum of the team's shares in them. A share is the sum of the team's weights on "
        "the added changes, divided by the number of added changes."
    )
    deployment_days: int | None = Field(description="Distinct days with a deployment.")
    rollbacks: int | None = Field(description="Rollbacks that withdrew a change of the team.")
    changes_deployed: int | None = Field(
        description="Pull requests of the team deployed for the first time."
    )
    weighted_changes_deployed: float | None = Field(description="The sum of their weights.")
    median_change_lead_time_hours: float | None = Field(
        description="DORA's change lead time: median of the hours from the start of work to the "
        "first deployment."
    )
    p95_change_lead_time_hours: float | None = Field(
        description="95th percentile of the same hours."
    )
    weighted_median_change_lead_time_hours: float | None = Field(
        description="Weighted median of the same hours: the smallest value at which the cumulative "
        "weight reaches half of the total."
    )
    weighted_p95_change_lead_time_hours: float | None = Field(
        description="Weighted 95th percentile of the same hours: the smallest value at which the "
        "cumulative weight reaches 95 % of the total."
    )
    median_deploy_hours: float | None = Field(
        description="Median of the hours from the merge to the deployment."
    )
    avg_coding_hours: float | None = Field(
        description="Mean hours from the start of work to the opening of the pull request. The "
        "five stages add up to the mean change lead time."
    )
    avg_draft_hours: float | None = Field(description="Mean hours as a draft.")
    avg_pickup_hours: float | None = Field(
        description="Mean hours waiting for a review, or for the merge without one."
    )
    avg_review_hours: float | None = Field(
        description="Mean hours from the first review to the merge."
    )
    avg_deploy_hours: float | None = Field(
        description="Mean hours from the merge to the first deployment."
    )
    failed_deployments: int | None = Field(description="Deployments that failed.")
    failed_by_incident: int | None = Field(description="Failed deployments with an incident.")
    failed_by_rollback: int | None = Field(
        description="Failed deployments with a rollback, but no incident."
    )
    failed_by_revert: int | None = Field(
        description="Failed deployments with a revert, but no cause listed above."
    )
    failed_by_hotfix: int | None = Field(
        description="Failed deployments with a hotfix, but no cause listed above."
    )
    failed_by_status: int | None = Field(
        description="Failed deployments whose only cause is GitHub's status."
    )
    change_fail_rate: float | None = Field(
        description="DORA's change fail rate: `failed_deployments / deployments`."
    )
    weighted_change_fail_rate: float | None = Field(
        description="The change fail rate, weighted by the team's shares."
    )
    rework_deployments: int | None = Field(
        description="Rollbacks, and deployments that contain only repairs."
    )
    deployment_rework_rate: float | None = Field(
        description="DORA's deployment rework rate: `rework_deployments / (deployments + "
        "rollbacks)`."
    )
    weighted_deployment_rework_rate: float | None = Field(
        description="The deployment rework rate, weighted by the team's shares."
    )
    failures_recovered: int | None = Field(
        description="Failed deployments that recovered in the period, whenever they were deployed."
    )
    median_recovery_hours: float | None = Field(
        description="DORA's failed deployment recovery time: median hours to recovery."
    )
    weighted_median_recovery_hours: float | None = Field(
        description="Weighted median of the same hours: the smallest value at which the cumulative "
        "share reaches half of the total."
    )
    failures_open: int | None = Field(
        description="The period's failed deployments that have not recovered."
    )
    is_complete: bool = Field(description="The period is over and all of its data is loaded.")
    is_settled: bool = Field(
        description="The period is complete, and so long ago that its deployments can no longer "
        "count as failed."
    )


class _Week(BaseModel):
    week: date = Field(description="Monday of the week, in the reporting timezone.")


class _Month(BaseModel):
    month: date = Field(description="First day of the month, in the reporting timezone.")


class DeliveryWeek(DeliveryFigures, _Week):
    """A team's delivery figures for one week."""


class DeliveryMonth(DeliveryFigures, _Month):
    """A team's delivery figures for one month."""


class Delivery(TeamHead):
    """A team's weeks or months, oldest first, including those without deployments."""

    data: list[DeliveryWeek] | list[DeliveryMonth]


QUERIES: dict[str, tuple[type[BaseModel], LiteralString]] = {
    "week": (DeliveryWeek, of_team(WEEKS)),
    "month": (DeliveryMonth, of_team(MONTHS)),
}


@router.get(
    "/metrics/team/{team_id}/delivery",
    response_model=Delivery,
    responses=openapi.rows(401, 403, 404, 422, 429, 503),
)
def delivery(
    team_id: TeamId,
    period: InPeriod,
    reply: Reply,
    unit: Annotated[
        Literal["week", "month"], Query(description="The period of a row: a week or a month.")
    ] = "week",
) -> Response:
    """A team's five DORA metrics by week or month.

    Change lead time, deployment frequency, failed deployment recovery time, change fail rate and
    deployment rework rate. `from` and `to` are compared with each period's first day.
    """
    row, query = QUERIES[unit]
    return reply_with_periods(reply, row, query, team_id, period, unit)
