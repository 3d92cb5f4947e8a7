"""The data of the made-up organisation's simulated GitHub, as input for the reference."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from demo import delivery_model
from demo.delivery_generator import deployment_rules, incident_rules
from demo.github import GitHub
from demo.model import Account, Repository
from demo.model import PullRequest as GitHubPullRequest
from demo.organisation import Organisation
from tests.reference.coverage import Coverage
from tests.reference.delivery import (
    Attempt,
    Commit,
    GitHubDeployment,
    IncidentRule,
    Issue,
    PullRequest,
    Release,
    Rule,
    Status,
    Tag,
    WorkflowRun,
    World,
)


def world_of(github: GitHub, organisation: Organisation, loaded: datetime) -> World:
    """Return all data of the organisation, completely loaded at `loaded`."""
    repositories = github.repositories()
    names = [one.name_with_owner for one in repositories]
    covered = dict.fromkeys(names, Coverage(None, loaded))
    return World(
        repositories={one.name_with_owner: one.default_branch for one in repositories},
        teams=tuple(organisation.team_config()),
        pull_requests=tuple(_pull_request(one) for one in _all(repositories, "by_number")),
        commits=tuple(
            Commit(
                repository=one.repository.name_with_owner,
                sha=one.oid,
                parents=one.parent_oids,
                committed_at=_at(one.committed_date),
            )
            for one in _all(repositories, "commits")
        ),
        deployments=tuple(_deployment(one) for one in _all(repositories, "deployments")),
        releases=tuple(_release(one) for one in _all(repositories, "releases")),
        tags=tuple(_tag(one) for one in _all(repositories, "tags")),
        workflow_runs=tuple(run for one in repositories for run in _runs(one)),
        issues=tuple(_issue(one) for one in _all(repositories, "issues")),
        rules=tuple(_rule(rule) for rule in deployment_rules()),
        incident_rule=IncidentRule(labels=tuple(incident_rules()["labels"])),
        coverage=covered,
        delivery_coverage=covered,
    )


def _all(repositories: Iterable[Repository], attribute: str) -> Iterator[Any]:
    for repository in repositories:
        yield from getattr(repository, attribute).values()


def _at(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


def _optional_at(instant: str | None) -> datetime | None:
    return None if instant is None else _at(instant)


def _login(account: Account | None) -> str | None:
    return None if account is None else account.login


def _pull_request(one: GitHubPullRequest) -> PullRequest:
    return PullRequest(
        id=one.id,
        repository=one.repository.name_with_owner,
        number=one.number,
        author=_login(one.author),
        author_id=one.author and one.author.id,
        author_type=one.author and one.author.type,
        created_at=_at(one.created_at),
        first_commit_at=_optional_at(one.first_commit_at),
        merged_at=_optional_at(one.merged_at),
        closed_at=_optional_at(one.closed_at),
        merge_commit_sha=one.merge_commit_oid,
        head_sha=one.head_ref_oid,
        base_ref=one.base_ref_name,
        head_ref=one.head_ref_name,
        title=one.title,
        body=one.body,
        labels=tuple(one.labels),
        paths=tuple(one.paths),
    )


def _deployment(one: delivery_model.Deployment) -> GitHubDeployment:
    return GitHubDeployment(
        id=one.id,
        repository=one.repository.name_with_owner,
        environment=one.environment,
        original_environment=one.original_environment,
        commit_sha=one.commit_oid,
        created_at=_at(one.created_at),
        task=one.task,
        statuses=tuple(
            Status(state=status.state.lower(), created_at=_at(status.created_at))
            for status in one.statuses
        ),
    )


def _release(one: delivery_model.Release) -> Release:
    return Release(
        id=one.id,
        repository=one.repository.name_with_owner,
        tag=one.tag_name,
        commit_sha=one.tag_commit and one.tag_commit.oid,
        published_at=_optional_at(one.published_at),
        is_draft=one.is_draft,
        is_prerelease=one.is_prerelease,
    )


def _tag(one: delivery_model.Ref) -> Tag:
    assert one.commit is not None
    is_annotated = isinstance(one.target, delivery_model.AnnotatedTag)
    return Tag(
        id=one.id,
        repository=one.repository.name_with_owner,
        name=one.name,
        commit_sha=one.commit.oid,
        tagged_at=_at(one.target.tagged_at) if is_annotated else None,
    )


def _runs(repository: Repository) -> Iterator[WorkflowRun]:
    for workflow in repository.workflows:
        for one in workflow.runs:
            yield WorkflowRun(
                id=str(one.id),
                repository=repository.name_with_owner,
                workflow=workflow.name,
                path=workflow.path,
                branch=one.head_branch,
                head_sha=one.head_sha,
                attempts=tuple(
                    Attempt(
                        number=number,
                        conclusion=attempt.conclusion,
                        run_started_at=_at(attempt.started_at),
                        ended_at=_at(attempt.updated_at) if attempt.conclusion else None,
                    )
                    for number, attempt in enumerate(one.attempts, 1)
                ),
            )


def _issue(one: delivery_model.Issue) -> Issue:
    closer = one.events[-1].closer if one.events else None
    if isinstance(closer, GitHubPullRequest):
        closed_by = f"{closer.repository.name_with_owner}#{closer.number}"
    else:
        closed_by = None if closer is None else closer.oid
    return Issue(
        id=one.id,
        repository=one.repository.name_with_owner,
        number=one.number,
        title=one.title,
        labels=tuple(one.labels),
        created_at=_at(one.created_at),
        closed_at=_optional_at(one.closed_at),
        state_reason=one.reason and one.reason.lower(),
        closed_by=closed_by,
        body=one.body,
        url=one.url,
    )


def _rule(rule: dict[str, Any]) -> Rule:
    repositories = rule["repositories"]
    listed = [repositories] if isinstance(repositories, str) else repositories
    filters = {name: tuple(rule.get(name, ())) for name in ("labels", "paths")}
    return Rule(**rule | {"repositories": tuple(listed)} | filters)
