"""The deliveries of the demo's GitHub: commits, deployments, releases, tags, issues, runs.

As in `demo.model`, an instant is a string in GitHub's wire form and attribute names are GitHub's
field names in snake case.
"""

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.model import PullRequest, Repository

UNSUCCESSFUL = {"FAILURE", "ERROR"}


@dataclass(slots=True, eq=False)
class GitCommit:
    """A commit of a repository's graph; the first of `parent_oids` is the first parent."""

    id: str
    oid: str
    repository: "Repository"
    authored_date: str
    committed_date: str
    parent_oids: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        return "Commit"


@dataclass(slots=True, eq=False)
class DeploymentStatus:
    """`position` rises with creation; `environment` is the deployment's at that time."""

    id: str
    position: int
    state: str
    environment: str
    created_at: str
    environment_url: str | None = None
    type: str = "DeploymentStatus"


@dataclass(slots=True, eq=False)
class Deployment:
    """`environment` is the latest one: a status may change it."""

    id: str
    repository: "Repository"
    commit_oid: str
    environment: str
    original_environment: str
    created_at: str
    updated_at: str
    task: str = "deploy"
    ref_name: str | None = None
    statuses: list[DeploymentStatus] = field(default_factory=list)
    is_unreadable: bool = False

    @property
    def type(self) -> str:
        return "Deployment"

    @property
    def state(self) -> str:
        """`Deployment.state`: the state of the latest status; SUCCESS becomes ACTIVE."""
        state = self.statuses[-1].state if self.statuses else "PENDING"
        return "ACTIVE" if state == "SUCCESS" else state

    @property
    def commit(self) -> GitCommit | None:
        return self.repository.commits.get(self.commit_oid)

    @property
    def ref(self) -> "Ref | None":
        if self.ref_name is None:
            return None
        return Ref(f"REF_{self.id}", self.repository, self.ref_name, "refs/heads/", None)


@dataclass(slots=True, eq=False)
class AnnotatedTag:
    """A tag object, which points to a commit."""

    id: str
    oid: str
    tagged_at: str
    target: GitCommit

    @property
    def type(self) -> str:
        return "Tag"

    @property
    def tagger(self) -> "Tagger":
        return Tagger(self.tagged_at.replace("Z", "+00:00"))


@dataclass(slots=True, eq=False)
class Tagger:
    date: str


@dataclass(slots=True, eq=False)
class Ref:
    """A branch or a tag; its id stays the same if it is moved."""

    id: str
    repository: "Repository"
    name: str
    prefix: str
    target: GitCommit | AnnotatedTag | None

    @property
    def type(self) -> str:
        return "Ref"

    @property
    def commit(self) -> GitCommit | None:
        """The commit, also of an annotated tag."""
        return self.target.target if isinstance(self.target, AnnotatedTag) else self.target


@dataclass(slots=True, eq=False)
class Release:
    """A release; a draft has no `published_at` and is only shown to tokens that may push."""

    id: str
    repository: "Repository"
    tag_name: str
    name: str | None
    created_at: str
    published_at: str | None = None
    is_prerelease: bool = False

    @property
    def type(self) -> str:
        return "Release"

    @property
    def is_draft(self) -> bool:
        return self.published_at is None

    @property
    def url(self) -> str:
        return f"{self.repository.url}/releases/tag/{self.tag_name}"

    @property
    def tag(self) -> Ref | None:
        return self.repository.tags.get(self.tag_name)

    @property
    def tag_commit(self) -> GitCommit | None:
        return self.tag.commit if self.tag else None


@dataclass(slots=True, eq=False)
class ClosedEvent:
    """`closer` is the pull request or commit that closed the issue, null if a person did."""

    id: str
    created_at: str
    closer: "PullRequest | GitCommit | None" = None
    type: str = "ClosedEvent"


@dataclass(slots=True, eq=False)
class Issue:
    """`reason` of the last change of state: COMPLETED, NOT_PLANNED, DUPLICATE or REOPENED."""

    id: str
    repository: "Repository"
    number: int
    title: str
    body: str
    created_at: str
    updated_at: str
    labels: list[str] = field(default_factory=list)
    closed_at: str | None = None
    reason: str | None = None
    events: list[ClosedEvent] = field(default_factory=list)
    linked: "list[PullRequest]" = field(default_factory=list)

    @property
    def type(self) -> str:
        return "Issue"

    @property
    def state(self) -> str:
        return "OPEN" if self.closed_at is None else "CLOSED"

    @property
    def url(self) -> str:
        return f"{self.repository.url}/issues/{self.number}"


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt of a workflow run; without `conclusion` it is still running."""

    started_at: str
    updated_at: str
    conclusion: str | None = None


@dataclass(slots=True, eq=False)
class WorkflowRun:
    """A run; a re-run adds an attempt and keeps `id` and `created_at`."""

    id: int
    workflow_id: int
    head_branch: str
    head_sha: str
    event: str
    created_at: str
    attempts: list[Attempt]


@dataclass(slots=True, eq=False)
class Workflow:
    id: int
    name: str
    path: str
    runs: list[WorkflowRun] = field(default_factory=list)


def history(repository: "Repository", tip: str) -> list[str]:
    """Return the commits reachable from a tip, as `git log` does: latest commit date first."""
    if (known := repository.histories.get(tip)) is not None:
        return known
    commits = repository.commits
    heap = [(_backwards(commits[tip].committed_date), 0, tip)]
    seen, listed, number = {tip}, list[str](), 0
    while heap:
        oid = heapq.heappop(heap)[2]
        listed.append(oid)
        for parent in commits[oid].parent_oids:
            if parent not in seen and parent in commits:
                seen.add(parent)
                number += 1
                heapq.heappush(heap, (_backwards(commits[parent].committed_date), number, parent))
    if len(repository.histories) > 50:
        repository.histories.clear()
    repository.histories[tip] = listed
    return listed


def _backwards(date: str) -> tuple[int, ...]:
    """Return a sort key that puts later dates first."""
    return tuple(-ord(character) for character in date)
