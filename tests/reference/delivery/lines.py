"""The sequence of a target's deployments, with their kinds and added and withdrawn changes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..records import matches
from .facts import PullRequest
from .graph import Graph
from .signals import Key
from .sources import Deployment, Target


@dataclass(eq=False)
class Classified:
    """A deployment in its line.

    `before` is the deployment that ran when it succeeded. `restored` are the added changes that a
    rollback had withdrawn.
    """

    deployment: Deployment
    kind: str
    before: "Classified | None"
    added: frozenset[Key] = frozenset()
    withdrawn: frozenset[Key] = frozenset()
    restored: frozenset[Key] = frozenset()

    @property
    def commit_sha(self) -> str | None:
        return self.deployment.commit_sha

    @property
    def deployed_at(self) -> datetime:
        return self.deployment.deployed_at

    @property
    def takes_effect(self) -> bool:
        return self.kind != "overtaken"


@dataclass(eq=False)
class Line:
    """The successful deployments of one target, in order, and its repository's commits."""

    target: Target
    graph: Graph
    changes: Mapping[Key, PullRequest]
    deployments: list[Classified] = field(default_factory=list)
    in_first: set[Key] = field(default_factory=set)
    first_added: dict[Key, Classified] = field(default_factory=dict)

    def after(self, deployment: Classified) -> list[Classified]:
        return self.deployments[self.deployments.index(deployment) + 1 :]

    def up_to(self, deployment: Classified) -> list[Classified]:
        """Return the deployments before this one."""
        return self.deployments[: self.deployments.index(deployment)]

    def effective_at(self, at: datetime) -> Classified | None:
        """Return the last deployment that had taken effect at an instant."""
        found = [
            deployment
            for deployment in self.deployments
            if deployment.takes_effect and deployment.deployed_at <= at
        ]
        return found[-1] if found else None

    def rolled_back(self, rollback: Classified) -> Classified | None:
        """Return the deployment that a rollback blames.

        It is the first `deploy` after the deployment that was rolled back to whose commit the
        rollback removed. The deployment rolled back to is the last effective one whose commit the
        rollback contains.
        """
        assert rollback.before is not None, "a rollback needs a deployment that ran before it"
        kept = self.graph.reach(rollback.commit_sha)
        undone = self.graph.reach(rollback.before.commit_sha) - kept
        blamed: Classified | None = None
        for deployment in self.up_to(rollback):
            if deployment.takes_effect and deployment.commit_sha in kept:
                blamed = None
            elif deployment.kind == "deploy" and deployment.commit_sha in undone:
                blamed = blamed or deployment
        return blamed


def targets_of(pull_request: PullRequest, targets: Iterable[Target]) -> list[Target]:
    """Return the targets of a change: those that claim it and those without a filter.

    A change that no filter claims belongs to all targets of its repository, and so does one with an
    incomplete list of files, if a target needs it.
    """
    own = [target for target in targets if target.repository == pull_request.repository]
    if pull_request.paths is None and any(target.rule.paths for target in own):
        return own
    claiming = [target for target in own if target.has_filter and _claims(target, pull_request)]
    if not claiming:
        return own
    return [target for target in own if target in claiming or not target.has_filter]


def _claims(target: Target, pull_request: PullRequest) -> bool:
    labels = {label.lower() for label in target.rule.labels}
    return any(label.lower() in labels for label in pull_request.labels) or any(
        matches(path, pattern) for path in pull_request.paths or () for pattern in target.rule.paths
    )


def contained(graph: Graph, sha: str | None, changes: Iterable[PullRequest]) -> set[Key]:
    """Return the changes that a deployed commit contains: none if the commit is unknown."""
    reach = graph.reach(sha)
    return {
        change.key
        for change in changes
        if reach and (change.merge_commit_sha in reach or change.head_sha == sha)
    }


def classify(
    target: Target,
    deployments: Iterable[Deployment],
    graph: Graph,
    changes: Sequence[PullRequest],
) -> Line:
    """Sort the deployments of a target and classify each of them.

    `changes` are the merged pull requests that belong to the target.
    """
    line = Line(target, graph, {change.key: change for change in changes})
    live: set[Key] = set()
    withdrawn_before: set[Key] = set()
    running: Classified | None = None
    has_known_commit = False

    for deployment in sorted(deployments, key=lambda deployment: deployment.order):
        sha = deployment.commit_sha
        kind = kind_of(deployment, running, graph, has_known_commit)
        done = Classified(deployment, kind, running)
        if kind == "first":
            line.in_first |= contained(graph, sha, changes)
            live |= line.in_first
        elif kind == "deploy":
            done.added = frozenset(contained(graph, sha, changes) - live)
            done.restored = done.added & withdrawn_before
            live |= done.added
            for key in done.added:
                line.first_added.setdefault(key, done)
        elif kind == "rollback":
            assert running is not None, "a rollback needs a deployment that ran before it"
            undone = contained(graph, running.commit_sha, changes)
            done.withdrawn = frozenset(live & undone - contained(graph, sha, changes))
            live -= done.withdrawn
            withdrawn_before |= done.withdrawn
        if done.takes_effect:
            running = done
        has_known_commit = has_known_commit or (sha is not None and sha in graph)
        line.deployments.append(done)
    return line


def kind_of(
    deployment: Deployment, running: Classified | None, graph: Graph, has_known_commit: bool
) -> str:
    sha = deployment.commit_sha
    if running is None or sha is None or sha not in graph or not has_known_commit:
        return "first"
    if sha == running.commit_sha:
        return "redeploy"
    if graph.is_ancestor(sha, running.commit_sha):
        was_late = deployment.requested_at < running.deployed_at
        return "overtaken" if was_late else "rollback"
    return "deploy"


def lines_of(
    targets: Iterable[Target],
    deployments: Iterable[Deployment],
    graphs: Mapping[str, Graph],
    changes: Iterable[PullRequest],
) -> Iterator[Line]:
    targets, deployments, changes = list(targets), list(deployments), list(changes)
    belongs = {change.key: targets_of(change, targets) for change in changes}
    for target in targets:
        yield classify(
            target,
            [deployment for deployment in deployments if deployment.target == target],
            graphs[target.repository],
            [change for change in changes if target in belongs[change.key]],
        )
