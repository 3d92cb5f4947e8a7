"""A target's line of deployments: their kinds, what they add and withdraw, what is live."""

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
    """A deployment in its line. `before` is what ran when it succeeded, `restored` what of its
    additions a rollback had withdrawn.
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
        """Return what came before a deployment, without itself."""
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
        """Return the one deployment that a rollback blames.

        That is the first `deploy` after the deployment that was rolled back to, of those whose
        commit ran within what the rollback undid. Rolled back to is the last effective deployment
        that had nothing which the rollback has not.
        """
        assert rollback.before is not None, "a rollback needs something to go back from"
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
    """Return the targets that a change belongs to: those that claim it and those with no filter.

    What no filter claims belongs to all targets of its repository.
    """
    own = [target for target in targets if target.repository == pull_request.repository]
    claiming = [target for target in own if target.has_filter and _claims(target, pull_request)]
    if not claiming:
        return own
    return [target for target in own if target in claiming or not target.has_filter]


def _claims(target: Target, pull_request: PullRequest) -> bool:
    labels = {label.lower() for label in target.rule.labels}
    return any(label.lower() in labels for label in pull_request.labels) or any(
        matches(path, pattern) for path in pull_request.paths for pattern in target.rule.paths
    )


def contained(graph: Graph, sha: str | None, changes: Iterable[PullRequest]) -> set[Key]:
    """Return the changes that a deployed commit contains; one that is unknown contains nothing."""
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
    """Put the deployments of a target in order and work out what each of them did.

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
            assert running is not None, "a rollback needs something to go back from"
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
