"""Failed deployments with their causes and recoveries, and rework."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .facts import CAUSES
from .incidents import Linked
from .lines import Classified, Line
from .signals import Key, Reverts, is_hotfix

FAILED_STATES = ("failure", "error")


@dataclass(frozen=True)
class Evidence:
    """Evidence that a deployment failed, with the instant of its remedy.

    `at` is the instant that has to lie in the failure window; null if no window applies.
    """

    cause: str
    failed: Classified
    at: datetime | None
    remedied_at: datetime | None


@dataclass(frozen=True)
class Outcome:
    """Failure and recovery of a deployment; `causes` in the order of docs/delivery.md."""

    causes: tuple[str, ...]
    recovered_at: datetime | None


@dataclass(frozen=True)
class Rules:
    """The causes by which a deployment counts as failed, and the length of the window."""

    causes: Collection[str]
    window: timedelta

    def counts(self, evidence: Evidence) -> bool:
        return evidence.cause in self.causes and (
            evidence.at is None or evidence.at < evidence.failed.deployed_at + self.window
        )


def outcome(
    deployment: Classified, evidence: Sequence[Evidence], incidents: Sequence[Linked], rules: Rules
) -> Outcome:
    """Return the outcome of a deployment from all evidence about it and all its incidents."""
    causes = {one.cause for one in evidence if rules.counts(one)}
    if not causes:
        return Outcome((), None)
    remedied = [
        one.remedied_at
        for one in evidence
        # The remedy of a failed status applies only if the status counts as a cause.
        if one.remedied_at is not None and (one.cause != "status" or rules.counts(one))
    ]
    ends = [incident.ended_at for incident in incidents if incident.ended_at is not None]
    if ends and len(ends) == len(incidents):
        remedied.append(max(ends))
    recovered_at = min((at for at in remedied if at > deployment.deployed_at), default=None)
    return Outcome(tuple(cause for cause in CAUSES if cause in causes), recovered_at)


def evidence_of(
    line: Line,
    incidents: Sequence[Linked],
    closing: Mapping[Key, Sequence[Linked]],
    reverts: Reverts,
) -> Iterator[Evidence]:
    """Yield all evidence in a line.

    `incidents` are those linked to its deployments, `closing` all incidents by the change that
    closes them.
    """
    yield from _incidents(line, incidents)
    yield from _rollbacks(line)
    yield from _reverts(line, reverts)
    yield from _hotfixes(line, closing)
    yield from _statuses(line)


def _incidents(line: Line, incidents: Sequence[Linked]) -> Iterator[Evidence]:
    """The window does not matter here: it was checked when the incident was linked."""
    for incident in incidents:
        if incident.deployment in line.deployments:
            fixes = [
                later.deployed_at
                for later in line.after(incident.deployment)
                if incident.fixed_by in later.added
                and later.deployed_at > incident.deployment.deployed_at
            ]
            yield Evidence("incident", incident.deployment, None, min(fixes, default=None))


def _rollbacks(line: Line) -> Iterator[Evidence]:
    for rollback in line.deployments:
        blamed = line.rolled_back(rollback) if rollback.kind == "rollback" else None
        if blamed is not None:
            yield Evidence("rollback", blamed, rollback.deployed_at, rollback.deployed_at)


def _reverts(line: Line, reverts: Reverts) -> Iterator[Evidence]:
    for later in line.deployments:
        for revert in later.added:
            for reverted in reverts.reverted_by(revert):
                failed = line.first_added.get(reverted)
                if (
                    failed is not None
                    and failed in line.up_to(later)
                    and reverted not in later.added
                ):
                    yield Evidence("revert", failed, later.deployed_at, later.deployed_at)


def _hotfixes(line: Line, closing: Mapping[Key, Sequence[Linked]]) -> Iterator[Evidence]:
    for key, adding in line.first_added.items():
        if not is_hotfix(line.changes[key]) or key in closing:
            continue
        deploys = [one for one in line.up_to(adding) if one.kind == "deploy"]
        if deploys:
            yield Evidence("hotfix", deploys[-1], adding.deployed_at, adding.deployed_at)


def _statuses(line: Line) -> Iterator[Evidence]:
    for deployment in line.deployments:
        statuses = deployment.deployment.later_statuses
        failed_at = min(
            (status.created_at for status in statuses if status.state in FAILED_STATES),
            default=None,
        )
        if deployment.kind != "deploy" or failed_at is None:
            continue
        remedies = [status.created_at for status in statuses if status.state == "success"]
        remedies += [one.deployed_at for one in line.after(deployment) if one.takes_effect]
        remedied_at = min((at for at in remedies if at > failed_at), default=None)
        yield Evidence("status", deployment, failed_at, remedied_at)


def is_rework(
    deployment: Classified,
    counted: Collection[Key],
    line: Line,
    closing: Mapping[Key, Sequence[Linked]],
    reverts: Reverts,
) -> bool:
    """Whether a deployment is rework. `counted` are its added changes that are not excluded."""
    if deployment.kind == "rollback":
        return True
    return bool(counted) and all(
        key in deployment.restored
        or reverts.is_revert(key)
        or is_hotfix(line.changes[key])
        or any(incident.deployment is not None for incident in closing.get(key, ()))
        for key in counted
    )
