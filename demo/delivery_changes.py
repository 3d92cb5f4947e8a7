"""Changes to the deliveries of the demo's GitHub, as CI systems and people on call make them."""

import threading
from datetime import datetime
from typing import Any

from demo.delivery_model import (
    AnnotatedTag,
    Attempt,
    ClosedEvent,
    Deployment,
    DeploymentStatus,
    GitCommit,
    Issue,
    Ref,
    Release,
    Workflow,
    WorkflowRun,
)
from demo.model import PullRequest, Repository, instant, node_id, sha1

When = datetime | str


class Delivering:
    """The part of `demo.github.GitHub` that changes deliveries."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        # Whether the token may push: then it also sees draft releases.
        self.shows_drafts = False
        self._delivery_nodes: dict[str, Any] = {}
        self._counter = 0

    def _next(self) -> int:
        self._counter += 1
        return self._counter

    def add_commit(
        self,
        repository: Repository,
        at: When,
        *parents: str,
        oid: str | None = None,
        branch: str | None = None,
    ) -> GitCommit:
        """Add a commit; with `branch` it becomes the new tip, and the old tip is its parent."""
        with self.lock:
            if branch and not parents and branch in repository.branches:
                parents = (repository.branches[branch],)
            oid = oid or sha1(repository.id, "commit", self._next())
            when = instant(at)
            commit = GitCommit(node_id("C", oid), oid, repository, when, when, parents)
            repository.commits[oid] = commit
            if branch:
                repository.branches[branch] = oid
            return commit

    def merge_as_commit(self, pull_request: PullRequest, at: When) -> GitCommit:
        """Give a merged pull request its commit on the default branch."""
        repository = pull_request.repository
        commit = self.add_commit(
            repository, at, oid=pull_request.merge_commit_oid, branch=repository.default_branch
        )
        pull_request.merge_commit_oid = commit.oid
        return commit

    def rename_default_branch(self, repository: Repository, name: str) -> None:
        with self.lock:
            tip = repository.branches.pop(repository.default_branch, None)
            repository.default_branch = name
            if tip is not None:
                repository.branches[name] = tip

    def rewrite_default_branch(self, repository: Repository, at: When, count: int) -> None:
        """Replace the last `count` commits of the default branch."""
        with self.lock:
            tip = repository.branches[repository.default_branch]
            for _ in range(count):
                parents = repository.commits[tip].parent_oids
                if not parents:
                    break
                tip = parents[0]
            repository.branches[repository.default_branch] = tip
            for _ in range(count):
                self.add_commit(repository, at, branch=repository.default_branch)

    def deploy(
        self,
        repository: Repository,
        at: When,
        commit_oid: str,
        environment: str = "production",
        id: str | None = None,
        **fields: Any,
    ) -> Deployment:
        """Add a deployment without a status."""
        with self.lock:
            when = instant(at)
            deployment = Deployment(
                id or node_id("DE", repository.id, self._next()),
                repository,
                commit_oid,
                environment,
                environment,
                when,
                when,
                **fields,
            )
            repository.deployments[deployment.id] = deployment
            self._delivery_nodes[deployment.id] = deployment
            return deployment

    def add_status(
        self,
        deployment: Deployment,
        at: When,
        state: str,
        environment: str | None = None,
        url: str | None = None,
    ) -> DeploymentStatus:
        """Add a status; a success makes older deployments of its environment inactive."""
        with self.lock:
            if environment is not None:
                deployment.environment = environment
            status = self._add_status(deployment, instant(at), state, url)
            if state == "SUCCESS":
                for other in deployment.repository.deployments.values():
                    is_older = other is not deployment and other.created_at < deployment.created_at
                    same = other.environment == deployment.environment
                    if is_older and same and other.state == "ACTIVE":
                        self._add_status(other, instant(at), "INACTIVE", None)
            return status

    def _add_status(
        self, deployment: Deployment, at: str, state: str, url: str | None
    ) -> DeploymentStatus:
        position = len(deployment.statuses) + 1
        key = node_id("DES", deployment.id, position)
        status = DeploymentStatus(key, position, state, deployment.environment, at, url)
        deployment.statuses.append(status)
        deployment.updated_at = max(deployment.updated_at, at)
        return status

    def delete_deployment(self, deployment: Deployment) -> None:
        with self.lock:
            del deployment.repository.deployments[deployment.id]
            del self._delivery_nodes[deployment.id]

    def tag(
        self, repository: Repository, name: str, oid: str, tagged_at: When | None = None
    ) -> Ref:
        """Create or move a tag: an annotated one with `tagged_at`, else a lightweight one."""
        with self.lock:
            commit = repository.commits[oid]
            target: GitCommit | AnnotatedTag = commit
            if tagged_at is not None:
                number = self._next()
                key = node_id("TA", repository.id, number)
                tag_oid = sha1(repository.id, "tag", number)
                target = AnnotatedTag(key, tag_oid, instant(tagged_at), commit)
            key = node_id("REF", repository.id, "refs/tags/", name)
            ref = Ref(key, repository, name, "refs/tags/", target)
            repository.tags[name] = self._delivery_nodes[key] = ref
            return ref

    def delete_tag(self, ref: Ref) -> None:
        with self.lock:
            del ref.repository.tags[ref.name]
            del self._delivery_nodes[ref.id]

    def draft_release(
        self, repository: Repository, at: When, tag_name: str, **fields: Any
    ) -> Release:
        with self.lock:
            key = node_id("RE", repository.id, self._next())
            name = fields.pop("name", tag_name)
            release = Release(key, repository, tag_name, name, instant(at), **fields)
            repository.releases[key] = self._delivery_nodes[key] = release
            return release

    def publish(self, release: Release, at: When) -> Release:
        release.published_at = instant(at)
        return release

    def delete_release(self, release: Release) -> None:
        with self.lock:
            del release.repository.releases[release.id]
            del self._delivery_nodes[release.id]

    def open_issue(
        self, repository: Repository, at: When, labels: list[str], **fields: Any
    ) -> Issue:
        """Open an issue; issues and pull requests share one sequence of numbers."""
        with self.lock:
            repository.last_number += 1
            number = repository.last_number
            key = node_id("I", repository.id, number)
            title, body = fields.pop("title", f"Issue {number}"), fields.pop("body", "")
            opened = instant(at)
            issue = Issue(key, repository, number, title, body, opened, opened, list(labels))
            repository.issues[key] = self._delivery_nodes[key] = issue
            return issue

    def edit_issue(self, issue: Issue, at: When, **fields: Any) -> Issue:
        with self.lock:
            for name, value in fields.items():
                setattr(issue, name, value)
            issue.updated_at = max(issue.updated_at, instant(at))
            return issue

    def close_issue(
        self,
        issue: Issue,
        at: When,
        reason: str = "COMPLETED",
        closer: PullRequest | GitCommit | None = None,
    ) -> Issue:
        key = node_id("CE", issue.id, self._next())
        issue.events.append(ClosedEvent(key, instant(at), closer))
        return self.edit_issue(issue, at, closed_at=instant(at), reason=reason)

    def reopen_issue(self, issue: Issue, at: When) -> Issue:
        return self.edit_issue(issue, at, closed_at=None, reason="REOPENED")

    def delete_issue(self, issue: Issue) -> None:
        with self.lock:
            del issue.repository.issues[issue.id]
            del self._delivery_nodes[issue.id]

    def add_workflow(self, repository: Repository, name: str, path: str) -> Workflow:
        with self.lock:
            workflow = Workflow(self._next(), name, path)
            repository.workflows.append(workflow)
            return workflow

    def start_run(
        self, workflow: Workflow, at: When, head_sha: str, branch: str = "main", event: str = "push"
    ) -> WorkflowRun:
        with self.lock:
            when = instant(at)
            run = WorkflowRun(
                10_000 + self._next(),
                workflow.id,
                branch,
                head_sha,
                event,
                when,
                [Attempt(when, when)],
            )
            workflow.runs.append(run)
            return run

    def end_run(self, run: WorkflowRun, at: When, conclusion: str = "success") -> WorkflowRun:
        attempt = run.attempts[-1]
        attempt.conclusion, attempt.updated_at = conclusion, instant(at)
        return run

    def rerun(self, run: WorkflowRun, at: When) -> WorkflowRun:
        run.attempts.append(Attempt(instant(at), instant(at)))
        return run
