"""The classified deployments, changes and incidents of a world, without teams."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from .. import records
from ..pull_requests import MICROSECOND, Row, hours
from .facts import PullRequest, World
from .failures import Evidence, Outcome, Rules, evidence_of, is_rework, outcome
from .graph import Graph
from .incidents import IncidentLinks, Linked, incidents_of
from .lines import Classified, Line, lines_of
from .signals import Key, Reverts
from .sources import deployments, targets


def hours_of(duration: timedelta) -> float:
    return hours(duration // MICROSECOND)


@dataclass(frozen=True)
class Findings:
    """All results for a world, each computed once on demand."""

    world: World
    rules: Rules

    @cached_property
    def merged(self) -> list[PullRequest]:
        """The changes, without those merged before their creation, which the ingest rejects."""
        return [
            pull_request
            for pull_request in self.world.pull_requests
            if pull_request.merged_at is not None
            and pull_request.merged_at >= pull_request.created_at
            and not pull_request.is_vanished
        ]

    @cached_property
    def excluded(self) -> frozenset[Key]:
        """The changes that a rule of PULL_REQUESTS excludes from all figures."""
        return frozenset(
            change.key
            for change in self.merged
            if records.PullRequest.of(change.record()).excluded_by(self.world.exclusions)
        )

    @cached_property
    def lines(self) -> list[Line]:
        graphs = {
            repository: Graph(one for one in self.world.commits if one.repository == repository)
            for repository in self.world.repositories
        }
        return list(lines_of(targets(self.world), deployments(self.world), graphs, self.merged))

    @cached_property
    def reverts(self) -> Reverts:
        return Reverts.of(self.merged)

    @cached_property
    def incidents(self) -> list[Linked]:
        links = IncidentLinks(self.lines, self.merged, self.rules.window)
        return [links.link(incident) for incident in incidents_of(self.world)]

    @cached_property
    def closing(self) -> Mapping[Key, Sequence[Linked]]:
        """The incidents that a change closes."""
        closed: dict[Key, list[Linked]] = defaultdict(list)
        for incident in self.incidents:
            if incident.fixed_by is not None:
                closed[incident.fixed_by].append(incident)
        return dict(closed)

    @cached_property
    def evidence(self) -> Mapping[Classified, Sequence[Evidence]]:
        by_deployment: dict[Classified, list[Evidence]] = defaultdict(list)
        for line in self.lines:
            for one in evidence_of(line, self.incidents, self.closing, self.reverts):
                by_deployment[one.failed].append(one)
        return by_deployment

    @cached_property
    def outcomes(self) -> Mapping[Classified, Outcome]:
        incidents: dict[Classified, list[Linked]] = defaultdict(list)
        for one in self.incidents:
            if one.deployment is not None:
                incidents[one.deployment].append(one)
        return {
            deployment: outcome(
                deployment, self.evidence.get(deployment, ()), incidents[deployment], self.rules
            )
            for line in self.lines
            for deployment in line.deployments
        }

    def is_rework(self, line: Line, deployment: Classified) -> bool:
        counted = self.counted(deployment.added)
        return is_rework(deployment, counted, line, self.closing, self.reverts)

    def counted(self, changes: Collection[Key]) -> frozenset[Key]:
        return frozenset(changes) - self.excluded

    def row(self, line: Line, deployment: Classified) -> Row:
        facts, target = deployment.deployment, line.target
        became = self.outcomes[deployment]
        recovered_at = became.recovered_at
        recovery = None if recovered_at is None else hours_of(recovered_at - facts.deployed_at)
        return {
            "deployment_id": facts.deployment_id,
            "target": target.name,
            "repository": target.repository,
            "source": target.rule.source,
            "is_proxy": target.rule.source == "merges",
            "is_approximate": facts.is_approximate,
            "environment": facts.environment,
            "url": facts.url,
            "commit_sha": facts.commit_sha,
            "requested_at": facts.requested_at,
            "deployed_at": facts.deployed_at,
            "kind": deployment.kind,
            "changes_added": len(self.counted(deployment.added)),
            "changes_withdrawn": len(self.counted(deployment.withdrawn)),
            "is_failed": bool(became.causes),
            "failure_causes": became.causes,
            "recovered_at": recovered_at,
            "recovery_hours": recovery,
            "is_rework": self.is_rework(line, deployment),
        }

    def lines_with(self, key: Key) -> list[Line]:
        """Return the measured lines that a change belongs to."""
        return [line for line in self.lines if key in line.changes and line.deployments]

    def change_row(self, change: PullRequest) -> Row:
        first = self.first_deployment(change.key)
        return {
            "deployed_at": None if first is None else first.deployed_at,
            "deployment_id": None if first is None else first.deployment.deployment_id,
            "not_deployed_reason": self._reason(change) if first is None else None,
        }

    def first_deployment(self, key: Key) -> Classified | None:
        """Return the first deployment, of any of its targets, that adds a change."""
        adding = [one.first_added[key] for one in self.lines_with(key) if key in one.first_added]
        return min(adding, default=None, key=lambda one: (one.deployment.order, one.deployment.key))

    def _reason(self, change: PullRequest) -> str:
        lines = self.lines_with(change.key)
        if not lines:
            return "not_measured"
        if any(change.key in line.in_first for line in lines):
            return "before_first_deployment"
        if change.merge_commit_sha is None:
            return "no_merge_commit"
        if change.merge_commit_sha not in lines[0].graph:
            return "unknown_commit"
        return "not_deployed"
