"""Find targets and their successful deployments in GitHub's data, one function per source."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..records import matches
from .facts import Rule, Status, World


@dataclass(frozen=True)
class Target:
    repository: str
    name: str
    rule: Rule

    @property
    def has_filter(self) -> bool:
        return bool(self.rule.labels or self.rule.paths)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A successful deployment; `later_statuses` are GitHub's statuses after its success."""

    target: Target
    deployment_id: str
    commit_sha: str | None
    requested_at: datetime
    deployed_at: datetime
    environment: str | None = None
    url: str | None = None
    later_statuses: tuple[Status, ...] = ()
    is_approximate: bool = False

    @property
    def order(self) -> tuple[datetime, datetime, str]:
        return self.deployed_at, self.requested_at, self.deployment_id

    @property
    def key(self) -> tuple[str, str, str]:
        return self.target.repository, self.target.name, self.deployment_id


def targets(world: World) -> list[Target]:
    """Return the targets; the last matching rule of a repository and target applies."""
    last: dict[tuple[str, str], Target] = {}
    for repository in world.repositories:
        for rule in world.rules:
            if any(matches(repository, pattern) for pattern in rule.repositories):
                name = repository if rule.target is None else rule.target
                last[repository, name] = Target(repository, name, rule)
    return list(last.values())


def deployments(world: World) -> list[Deployment]:
    return [
        deployment
        for target in targets(world)
        for deployment in BY_SOURCE[target.rule.source](target, world)
    ]


def of_deployments(target: Target, world: World) -> Iterator[Deployment]:
    pattern = re.compile(target.rule.environment, re.IGNORECASE)
    for deployment in world.deployments:
        environment = deployment.environment or deployment.original_environment or ""
        if deployment.repository != target.repository or deployment.task != "deploy":
            continue
        statuses = sorted(deployment.statuses, key=lambda status: status.created_at)
        succeeded_at = [status.created_at for status in statuses if status.state == "success"]
        if succeeded_at and pattern.search(environment):
            yield Deployment(
                target=target,
                deployment_id=deployment.id,
                commit_sha=deployment.commit_sha,
                requested_at=deployment.created_at,
                deployed_at=succeeded_at[0],
                environment=environment,
                url=deployment.url,
                later_statuses=tuple(
                    status for status in statuses if status.created_at > succeeded_at[0]
                ),
            )


def of_releases(target: Target, world: World) -> Iterator[Deployment]:
    for release in world.releases:
        if (
            release.repository == target.repository
            and release.published_at is not None
            and not release.is_draft
            and (target.rule.prereleases or not release.is_prerelease)
            and re.search(target.rule.tag, release.tag)
        ):
            yield Deployment(
                target=target,
                deployment_id=release.id,
                commit_sha=release.commit_sha,
                requested_at=release.published_at,
                deployed_at=release.published_at,
                url=release.url,
            )


def of_tags(target: Target, world: World) -> Iterator[Deployment]:
    committed_at = {(c.repository, c.sha): c.committed_at for c in world.commits}
    for tag in world.tags:
        tagged_at = tag.tagged_at or committed_at.get((tag.repository, tag.commit_sha))
        if (
            tag.repository == target.repository
            and tagged_at is not None
            and re.search(target.rule.tag, tag.name)
        ):
            yield Deployment(
                target=target,
                deployment_id=tag.id,
                commit_sha=tag.commit_sha,
                requested_at=tagged_at,
                deployed_at=tagged_at,
                url=tag.url,
                is_approximate=tag.tagged_at is None,
            )


def of_workflow_runs(target: Target, world: World) -> Iterator[Deployment]:
    branch = target.rule.branch or world.repositories[target.repository]
    for run in world.workflow_runs:
        names = (run.workflow, run.path.rpartition("/")[2])
        if (
            run.repository != target.repository
            or run.branch != branch
            or target.rule.workflow not in names
        ):
            continue
        for attempt in sorted(run.attempts, key=lambda attempt: attempt.number):
            if attempt.conclusion == "success" and attempt.ended_at is not None:
                yield Deployment(
                    target=target,
                    deployment_id=run.id,
                    commit_sha=run.head_sha,
                    requested_at=attempt.run_started_at,
                    deployed_at=attempt.ended_at,
                    url=run.url,
                )
                break


def of_merges(target: Target, world: World) -> Iterator[Deployment]:
    for pull_request in world.pull_requests:
        if (
            pull_request.repository == target.repository
            and pull_request.merged_at is not None
            and pull_request.merged_at >= pull_request.created_at
            and pull_request.merge_commit_sha is not None
            and pull_request.base_ref == world.repositories[target.repository]
            and not pull_request.is_vanished
        ):
            yield Deployment(
                target=target,
                deployment_id=pull_request.id,
                commit_sha=pull_request.merge_commit_sha,
                requested_at=pull_request.merged_at,
                deployed_at=pull_request.merged_at,
            )


BY_SOURCE: dict[str, Callable[[Target, World], Iterator[Deployment]]] = {
    "deployments": of_deployments,
    "releases": of_releases,
    "tags": of_tags,
    "workflow": of_workflow_runs,
    "merges": of_merges,
}
