"""Incidents, including those from GitHub issues, with their linked deployment and end."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..records import instant, matches
from .facts import Incident, Issue, PullRequest, World
from .lines import Classified, Line
from .signals import Key, commit_sha, line_of, pull_request_key
from .sources import targets

NOT_INCIDENTS = ("not_planned", "duplicate")


@dataclass(frozen=True)
class Linked:
    """An incident with its linked deployment and the kind of link, or the reason for none."""

    incident: Incident
    deployment: Classified | None
    how: str | None
    why_not: str | None
    fixed_by: Key | None
    ended_at: datetime | None


def incidents_of(world: World) -> list[Incident]:
    return [*_of_issues(world), *world.incidents]


def _of_issues(world: World) -> Iterator[Incident]:
    rule = world.incident_rule
    if rule is None:
        return
    labels = {label.lower() for label in rule.labels}
    services = {(target.repository, target.name.lower()) for target in targets(world)}
    for issue in world.issues:
        was_dismissed = (
            issue.closed_at is not None and (issue.state_reason or "").lower() in NOT_INCIDENTS
        )
        if (
            labels & {label.lower() for label in issue.labels}
            and any(matches(issue.repository, pattern) for pattern in rule.repositories)
            and not was_dismissed
        ):
            yield _of_issue(issue, services)


def _of_issue(issue: Issue, services: Set[tuple[str, str]]) -> Incident:
    repository: str | None = issue.repository
    service = line_of(issue, "Service")
    if service is not None and "/" in service:
        repository, service = service, None
    elif service is not None and (issue.repository, service.lower()) not in services:
        # The service belongs to another repository, so do not restrict it to the issue's.
        repository = None
    cause = line_of(issue, "Caused by")
    cause_is_change = pull_request_key(cause, issue.repository) is not None
    cause_is_commit = commit_sha(cause) is not None
    return Incident(
        source="github",
        id=issue.id,
        title=issue.title,
        url=issue.url,
        started_at=_started_at(issue),
        resolved_at=issue.closed_at,
        repository=repository,
        target=service,
        deployment_id=None if cause_is_change or cause_is_commit else cause,
        commit_sha=cause if cause_is_commit else None,
        pull_request=_in_full(cause, issue.repository) if cause_is_change else None,
        caused_by_change=False if (cause or "").strip().lower() == "none" else None,
        fixed_by=_in_full(issue.closed_by, issue.repository) if issue.closed_at else None,
    )


def _in_full(reference: str | None, repository: str) -> str | None:
    """Add the repository to a reference to a pull request; leave other references unchanged."""
    key = pull_request_key(reference, repository)
    return reference if key is None else f"{key[0]}#{key[1]}"


def _started_at(issue: Issue) -> datetime:
    try:
        return instant(line_of(issue, "Started") or "")
    except ValueError:
        return issue.created_at


@dataclass(frozen=True)
class IncidentLinks:
    """Links incidents to the deployments of some lines; `window` is the failure window."""

    lines: Sequence[Line]
    merged: Sequence[PullRequest]
    window: timedelta

    def link(self, incident: Incident) -> Linked:
        deployment, how, why_not = self._cause(incident)
        fix = self._fixing_change(incident)
        ended_at = self._ended_at(incident, deployment, fix)
        return Linked(incident, deployment, how, why_not, fix, ended_at)

    def line_of(self, deployment: Classified) -> Line:
        return next(line for line in self.lines if deployment in line.deployments)

    def lines_of(self, incident: Incident) -> list[Line]:
        """Return the lines that an incident concerns: none if it names no target or repository."""
        if incident.repository is None and incident.target is None:
            return []
        return [
            line
            for line in self.lines
            if _same(incident.repository, line.target.repository)
            and _same(incident.target, line.target.name)
        ]

    def _cause(self, incident: Incident) -> tuple[Classified | None, str | None, str | None]:
        if incident.caused_by_change is False:
            return None, None, "not_caused_by_a_change"
        for how, named in self._named(incident):
            if named:
                return self._nearest(incident, named), how, None
        if incident.repository is None and incident.target is None:
            return None, None, "no_target"
        running = [line.effective_at(incident.started_at) for line in self.lines_of(incident)]
        effective = [deployment for deployment in running if deployment is not None]
        if not any(line.deployments for line in self.lines_of(incident)):
            return None, None, "not_measured"
        if not effective:
            return None, None, "before_first_deployment"
        last = max(effective, key=lambda one: (one.deployment.order, one.deployment.key))
        failed = self._answerable(last)
        if failed is None:
            return None, None, "no_deployment_to_blame"
        is_late = incident.started_at >= failed.deployed_at + self.window
        if is_late and incident.caused_by_change is not True:
            return None, None, "outside_window"
        return failed, "inferred", None

    def _named(self, incident: Incident) -> Iterator[tuple[str, list[Classified]]]:
        """Yield the deployments that an incident names, by kind of name, strongest first."""
        deploys = [
            deployment
            for line in self.lines
            for deployment in line.deployments
            if deployment.kind == "deploy"
        ]
        sha = commit_sha(incident.commit_sha)
        key = self._change(incident.pull_request, incident.repository)
        yield (
            "deployment",
            [one for one in deploys if one.deployment.deployment_id == incident.deployment_id],
        )
        yield (
            "commit",
            [one for one in deploys if sha and one.commit_sha and one.commit_sha.startswith(sha)],
        )
        yield (
            "pull_request",
            [line.first_added[key] for line in self.lines if key and key in line.first_added],
        )

    def _nearest(self, incident: Incident, named: list[Classified]) -> Classified:
        """Return the deployment to blame, of several that an incident names.

        Those of the incident's targets have priority; of these the last one at or before the start
        of the incident, else the earliest.
        """
        own = [one for line in self.lines_of(incident) for one in named if one in line.deployments]
        ordered = sorted(own or named, key=lambda one: (one.deployment.order, one.deployment.key))
        before = [one for one in ordered if one.deployed_at <= incident.started_at]
        return before[-1] if before else ordered[0]

    def _answerable(self, deployment: Classified) -> Classified | None:
        """Return the `deploy` to blame for an incident that began while a deployment ran."""
        if deployment.kind == "deploy":
            return deployment
        if deployment.kind == "redeploy" and deployment.before is not None:
            return self._answerable(deployment.before)
        if deployment.kind == "rollback":
            return self.line_of(deployment).rolled_back(deployment)
        return None

    def _change(self, reference: str | None, repository: str | None) -> Key | None:
        """Return the key of the merged pull request that a text names."""
        named = pull_request_key(reference, repository)
        for change in self.merged:
            if named and change.number == named[1] and _same(named[0], change.repository):
                return change.key
        return None

    def _fixing_change(self, incident: Incident) -> Key | None:
        """Return the merged pull request that ends an incident, named by number or by commit."""
        sha = commit_sha(incident.fixed_by)
        for change in self.merged:
            if sha and (change.merge_commit_sha or "").startswith(sha):
                return change.key
        return self._change(incident.fixed_by, incident.repository)

    def _ended_at(
        self, incident: Incident, cause: Classified | None, fix: Key | None
    ) -> datetime | None:
        """Return when an incident ended: when its fix was deployed, else `resolved_at`."""
        own = [self.line_of(cause)] if cause else []
        if fix is not None:
            having = [line for line in self.lines if fix in line.changes and line.deployments]
            return _change_deployed_at(
                fix, [line for line in own if line in having] or having, incident
            )
        sha = commit_sha(incident.fixed_by)
        if sha is not None:
            return _commit_deployed_at(sha, own or self.lines_of(incident), incident)
        return incident.resolved_at


def _change_deployed_at(fix: Key, lines: Sequence[Line], incident: Incident) -> datetime | None:
    """Return when a change was first added in some lines; null if it is not deployed yet."""
    added = [line.first_added[fix].deployed_at for line in lines if fix in line.first_added]
    if added:
        return min(added)
    is_still_to_come = any(
        fix not in line.in_first and line.changes[fix].merge_commit_sha in line.graph
        for line in lines
    )
    return None if is_still_to_come else incident.resolved_at


def _commit_deployed_at(sha: str, lines: Sequence[Line], incident: Incident) -> datetime | None:
    """Return when a commit was first deployed in some lines; null if it is not deployed yet."""
    is_known = False
    containing: list[Classified] = []
    for line in lines:
        commits = [commit for commit in line.graph.parents if commit.startswith(sha)]
        is_known = is_known or bool(commits and line.deployments)
        containing += [
            one
            for one in line.deployments
            if one.takes_effect
            and any(commit in line.graph.reach(one.commit_sha) for commit in commits)
        ]
    if not is_known:
        return incident.resolved_at
    if not containing:
        return None
    first = min(containing, key=lambda one: one.deployment.order)
    return incident.resolved_at if first.kind == "first" else first.deployed_at


def _same(given: str | None, name: str) -> bool:
    """Whether an optional name is missing or equals this one, ignoring case."""
    return given is None or given.lower() == name.lower()
