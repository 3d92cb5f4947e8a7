"""Team delivery by week or month: the table of docs/delivery.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from ..coverage import Build
from ..pull_requests import MICROSECOND, Row
from ..records import Membership
from ..rollups import Periods, percentile_cont, span, weighted_percentile
from .failures import Outcome
from .lines import Classified


@dataclass(frozen=True)
class TeamDeployment:
    """A `deploy` or rollback in which a team has a share."""

    deployment: Classified
    share: Fraction
    outcome: Outcome
    is_rework: bool

    @property
    def is_rollback(self) -> bool:
        return self.deployment.kind == "rollback"

    @property
    def recovery(self) -> int | None:
        recovered_at = self.outcome.recovered_at
        if recovered_at is None:
            return None
        return (recovered_at - self.deployment.deployed_at) // MICROSECOND


@dataclass(frozen=True)
class TeamChange:
    """A change in which a team has a weight, first deployed at `deployed_at`."""

    weight: Decimal
    work_started_at: datetime
    merged_at: datetime
    deployed_at: datetime

    @property
    def lead_time(self) -> int:
        return (self.deployed_at - self.work_started_at) // MICROSECOND

    @property
    def deploy_time(self) -> int:
        return max(self.deployed_at - self.merged_at, timedelta()) // MICROSECOND


@dataclass(frozen=True)
class TeamDelivery:
    """The data of one team from which its rows are computed."""

    team_id: str
    memberships: Sequence[Membership]
    deployments: Sequence[TeamDeployment]
    changes: Sequence[TeamChange]
    merged_at: Sequence[datetime]
    measured_from: datetime | None


def rows_of_team(
    team: TeamDelivery, build: Build, loaded: Build, window: timedelta, periods: Periods
) -> Iterator[tuple[date, Row]]:
    """Yield a team's rows. `build` determines the periods, `loaded` which ones are complete."""
    happened = [*team.merged_at, *(change.deployed_at for change in team.changes)]
    for one in team.deployments:
        happened.append(one.deployment.deployed_at)
        if one.outcome.recovered_at is not None:
            happened.append(one.outcome.recovered_at)
    last = max(map(periods.holding, happened), default=None)
    for period in span(team.memberships, last, build, periods):
        end = periods.start(periods.after(period))
        is_complete = periods.is_complete(period, loaded)
        figures = _figures(team, period, periods, loaded.as_of)
        if team.measured_from is None or end <= team.measured_from:
            figures = dict.fromkeys(figures)
        yield (
            period,
            {
                "team_id": team.team_id,
                periods.column: period,
                **figures,
                "measured_from": team.measured_from,
                "is_complete": is_complete,
                "is_settled": is_complete
                and loaded.as_of is not None
                and end + window <= loaded.as_of,
            },
        )


def _figures(team: TeamDelivery, period: date, periods: Periods, as_of: datetime | None) -> Row:
    within = [
        one for one in team.deployments if periods.holding(one.deployment.deployed_at) == period
    ]
    deploys = [one for one in within if not one.is_rollback]
    failed = [one for one in deploys if one.outcome.causes]
    rework = [one for one in within if one.is_rework]
    recovered = [
        one
        for one in team.deployments
        if one.outcome.recovered_at and periods.holding(one.outcome.recovered_at) == period
    ]
    return {
        "deployments": len(deploys),
        "weighted_deployments": float(_shares(deploys)),
        "deployment_days": len(
            {one.deployment.deployed_at.astimezone(periods.zone).date() for one in deploys}
        ),
        "rollbacks": len(within) - len(deploys),
        **_lead_times([one for one in team.changes if periods.holding(one.deployed_at) == period]),
        "failed_deployments": len(failed),
        "change_fail_rate": _rate(len(failed), len(deploys)),
        "weighted_change_fail_rate": _rate(_shares(failed), _shares(deploys)),
        "rework_deployments": len(rework),
        "deployment_rework_rate": _rate(len(rework), len(within)),
        "weighted_deployment_rework_rate": _rate(_shares(rework), _shares(within)),
        **_recoveries(recovered),
        "failures_open": len([one for one in failed if _is_open(one.outcome, as_of)]),
    }


def _is_open(outcome: Outcome, as_of: datetime | None) -> bool:
    recovered_at = outcome.recovered_at
    return recovered_at is None or (as_of is not None and recovered_at > as_of)


def _lead_times(changes: Sequence[TeamChange]) -> Row:
    lead_times = [change.lead_time for change in changes]
    weighted = [(change.lead_time, change.weight) for change in changes]
    return {
        "changes_deployed": len(changes),
        "weighted_changes_deployed": sum((change.weight for change in changes), Decimal()),
        "median_change_lead_time_hours": percentile_cont(lead_times, "0.5"),
        "p95_change_lead_time_hours": percentile_cont(lead_times, "0.95"),
        "weighted_median_change_lead_time_hours": weighted_percentile(weighted, "0.5"),
        "weighted_p95_change_lead_time_hours": weighted_percentile(weighted, "0.95"),
        "median_deploy_hours": percentile_cont([change.deploy_time for change in changes], "0.5"),
    }


def _recoveries(recovered: Sequence[TeamDeployment]) -> Row:
    times = [(one.recovery, one.share) for one in recovered]
    weighted = [(time, share) for time, share in times if time is not None]
    return {
        "failures_recovered": len(recovered),
        "median_recovery_hours": percentile_cont([time for time, _ in weighted], "0.5"),
        "weighted_median_recovery_hours": weighted_percentile(weighted, "0.5"),
    }


def _shares(deployments: Sequence[TeamDeployment]) -> Fraction:
    return sum((one.share for one in deployments), Fraction())


def _rate(part: int | Fraction, whole: int | Fraction) -> float | None:
    return float(Fraction(part) / Fraction(whole)) if whole else None
