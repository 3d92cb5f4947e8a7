"""Compute the rows of the marts from a world."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from .. import records
from ..coverage import Build, build
from ..groups import GroupWindow, group_windows, members_of_groups
from ..marts import Marts, of_group, reference
from ..pull_requests import Row
from ..rollups import Periods
from .facts import CAUSES, World
from .failures import Rules
from .findings import Findings, hours_of
from .incidents import Linked
from .rollups import TeamChange, TeamDelivery, TeamDeployment, rows_of_team
from .signals import Key


@dataclass
class Delivery:
    """Rows by key, each a dict of the columns in docs/delivery.md.

    The key of a deployment is (repository, target, deployment_id), of a pull request (repository,
    number), of an incident (source, id). `pull_requests` has the rows of fct_pull_requests,
    `changes` the merged pull requests of all authors. `added` and `withdrawn` are the counted
    changes of a deployment. `marts` are those of docs/metrics.md.
    """

    marts: Marts
    loaded: Build
    deployments: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    team_deployments: dict[tuple[str, str, str, str], Row] = field(default_factory=dict)
    added: dict[tuple[str, str, str], frozenset[Key]] = field(default_factory=dict)
    withdrawn: dict[tuple[str, str, str], frozenset[Key]] = field(default_factory=dict)
    incidents: dict[tuple[str, str], Row] = field(default_factory=dict)
    changes: dict[Key, Row] = field(default_factory=dict)
    pull_requests: dict[Key, Row] = field(default_factory=dict)
    weekly: dict[tuple[str, date], Row] = field(default_factory=dict)
    monthly: dict[tuple[str, date], Row] = field(default_factory=dict)
    group_deployments: dict[tuple[str, str, str, str], Row] = field(default_factory=dict)
    group_weekly: dict[tuple[str, date], Row] = field(default_factory=dict)
    group_monthly: dict[tuple[str, date], Row] = field(default_factory=dict)


def delivery(
    world: World,
    *,
    reporting_timezone: str = "UTC",
    attribution_instant: str = "merged_at",
    failure_window_days: int = 7,
    failure_causes: Collection[str] = CAUSES,
) -> Delivery:
    """Compute the marts of docs/delivery.md; raise ValueError for an unknown failure cause."""
    if unknown := set(failure_causes) - set(CAUSES):
        raise ValueError(f"unknown failure causes {sorted(unknown)}; use {CAUSES}")
    rules = Rules(failure_causes, timedelta(days=failure_window_days))
    marts = reference(
        [pull_request.record() for pull_request in world.pull_requests],
        world.teams,
        world.coverage,
        reporting_timezone=reporting_timezone,
        attribution_instant=attribution_instant,
        rules=world.exclusions,
        automation=world.automation,
    )
    found = Findings(world, rules)
    done = Delivery(marts, _loaded(world))
    for line in found.lines:
        for deployment in line.deployments:
            key = deployment.deployment.key
            done.deployments[key] = found.row(line, deployment)
            done.added[key] = found.counted(deployment.added)
            done.withdrawn[key] = found.counted(deployment.withdrawn)
    done.incidents = {(one.incident.source, one.incident.id): _row(one) for one in found.incidents}
    done.changes = {change.key: found.change_row(change) for change in found.merged}
    done.pull_requests = dict(_pull_request_rows(marts, done.changes))
    periods = [Periods(column, ZoneInfo(reporting_timezone)) for column in ("week", "month")]
    windows = records.memberships(world.teams)
    members = {
        team: [window for window in windows if window.team_id == team]
        for team in map(records.team_id, world.teams)
    }
    done.team_deployments = dict(_shares(marts.team_pull_requests, found))
    attributed = _Attributed(members, marts.team_pull_requests, done.team_deployments)
    for team in _teams(attributed, marts, found, done):
        for period, rows in zip(periods, (done.weekly, done.monthly), strict=True):
            for day, row in rows_of_team(team, marts.build, done.loaded, rules.window, period):
                rows[team.team_id, day] = row

    groups: dict[str, list[GroupWindow]] = defaultdict(list)
    for window in group_windows(world.teams):
        groups[window.team_id].append(window)
    shares = dict(_shares(marts.group_pull_requests, found))
    done.group_deployments = {key: of_group(row) for key, row in shares.items()}
    members = members_of_groups(windows, groups)
    attributed = _Attributed(members, marts.group_pull_requests, shares)
    for team in _teams(attributed, marts, found, done):
        for period, rows in zip(periods, (done.group_weekly, done.group_monthly), strict=True):
            for day, row in rows_of_team(team, marts.build, done.loaded, rules.window, period):
                rows[team.team_id, day] = of_group(row)
    return done


@dataclass(frozen=True)
class _Attributed:
    """The members of each team or of each group, their pull requests and their deployments."""

    members: Mapping[str, list[records.Membership]]
    pull_requests: Mapping[tuple[str, str, int], Row]
    deployments: Mapping[tuple[str, str, str, str], Row]


def _loaded(world: World) -> Build:
    """Return how far all data is loaded: pull requests, deployments, commits and incidents."""
    coverage = {f"pull requests of {name}": one for name, one in world.coverage.items()}
    return build(coverage | {f"{n} too": one for n, one in world.delivery_coverage.items()}, ())


def _row(linked: Linked) -> Row:
    incident = linked.incident
    deployment = None if linked.deployment is None else linked.deployment.deployment
    return {
        "source": incident.source,
        "incident_id": incident.id,
        "title": incident.title,
        "url": incident.url,
        "severity": incident.severity,
        "started_at": incident.started_at,
        "resolved_at": incident.resolved_at,
        "ended_at": linked.ended_at,
        "repository": None if deployment is None else deployment.target.repository,
        "target": None if deployment is None else deployment.target.name,
        "deployment_id": None if deployment is None else deployment.deployment_id,
        "linked_by": linked.how,
        "not_linked_reason": linked.why_not,
    }


def _pull_request_rows(marts: Marts, changes: Mapping[Key, Row]) -> Iterator[tuple[Key, Row]]:
    for key, facts in marts.pull_requests.items():
        row: Row = dict.fromkeys(("deployed_at", "deployment_id", "not_deployed_reason"))
        row |= {name: value for name, value in changes.get(key, {}).items() if name in row}
        row["change_lead_time_hours"] = row["deploy_hours"] = None
        deployed_at = row["deployed_at"]
        if deployed_at is not None:
            after_merge = max(deployed_at - facts["merged_at"], timedelta())
            row["change_lead_time_hours"] = hours_of(deployed_at - facts["work_started_at"])
            row["deploy_hours"] = hours_of(after_merge)
        yield key, row


def _weights(
    pull_requests: Mapping[tuple[str, str, int], Row],
) -> dict[Key, dict[str, Fraction]]:
    """Return the weight of each team, including `unassigned`, or group in each pull request."""
    weights: dict[Key, dict[str, Fraction]] = defaultdict(dict)
    for (team, repository, number), row in pull_requests.items():
        weights[repository, number][team] = Fraction(row["weight"])
    return weights


def _shares(
    pull_requests: Mapping[tuple[str, str, int], Row], found: Findings
) -> Iterator[tuple[tuple[str, str, str, str], Row]]:
    weights = _weights(pull_requests)
    for line in found.lines:
        for deployment in line.deployments:
            counted = found.counted(deployment.added | deployment.withdrawn)
            shares: dict[str, Fraction] = defaultdict(Fraction)
            for change in counted:
                for team, weight in weights.get(change, {}).items():
                    shares[team] += weight / len(counted)
            for team, share in shares.items():
                key = deployment.deployment.key
                yield (
                    (team, *key),
                    {"team_id": team, "deployment_id": key[-1], "share": share},
                )


def _teams(
    attributed: _Attributed, marts: Marts, found: Findings, done: Delivery
) -> Iterator[TeamDelivery]:
    by_key = {one.deployment.key: (line, one) for line in found.lines for one in line.deployments}
    parts: dict[str, list[TeamDeployment]] = defaultdict(list)
    for (team, *key), row in attributed.deployments.items():
        line, one = by_key[key[0], key[1], key[2]]
        became, rework = found.outcomes[one], found.is_rework(line, one)
        parts[team].append(TeamDeployment(one, row["share"], became, rework))
    for team, members in attributed.members.items():
        merged = {
            (repository, number): row
            for (owner, repository, number), row in attributed.pull_requests.items()
            if owner == team and (repository, number) in done.changes
        }
        yield TeamDelivery(
            team_id=team,
            memberships=members,
            deployments=parts[team],
            changes=list(_team_changes(marts, merged, done)),
            merged_at=[marts.pull_requests[key]["merged_at"] for key in merged],
            measured_from=_measured_from(merged, found),
        )


def _team_changes(marts: Marts, merged: Mapping[Key, Row], done: Delivery) -> Iterator[TeamChange]:
    for key, row in merged.items():
        deployed_at = done.changes[key]["deployed_at"]
        if deployed_at is not None:
            facts = marts.pull_requests[key]
            yield TeamChange(
                row["weight"], facts["work_started_at"], facts["merged_at"], deployed_at
            )


def _measured_from(merged: Mapping[Key, Row], found: Findings) -> datetime | None:
    return min(
        (
            max(row["attributed_at"], line.deployments[0].deployed_at)
            for key, row in merged.items()
            for line in found.lines_with(key)
        ),
        default=None,
    )
