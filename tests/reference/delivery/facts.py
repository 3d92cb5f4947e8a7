"""Plain records of the input: data of GitHub, a team configuration and an incident file.

Nothing here is computed. A `World` is the input of the reference, or of an ingest through a
simulated GitHub. Instants are datetimes in UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..coverage import Coverage
from ..records import Record

SOURCES = ("deployments", "releases", "tags", "workflow", "merges")
CAUSES = ("incident", "rollback", "revert", "hotfix", "status")
DEFAULT_ENVIRONMENT = r"^(prod|production|live)($|[^a-z])"


@dataclass(frozen=True, kw_only=True)
class Commit:
    repository: str
    sha: str
    parents: tuple[str, ...]
    committed_at: datetime


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """A pull request; its author by login.

    `paths` are the files that it changes; None if they are more than GitHub lists.
    """

    id: str
    repository: str
    number: int
    author: str | None
    created_at: datetime
    first_commit_at: datetime | None = None
    merged_at: datetime | None = None
    closed_at: datetime | None = None
    merge_commit_sha: str | None = None
    head_sha: str | None = None
    base_ref: str = "main"
    head_ref: str | None = None
    title: str = ""
    body: str = ""
    labels: tuple[str, ...] = ()
    paths: tuple[str, ...] | None = ()
    author_id: str | None = None
    author_type: str | None = "User"
    is_vanished: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.repository, self.number

    def record(self) -> Record:
        """Return it as a line of a JSONL file of pull requests."""
        ended = self.closed_at or self.merged_at
        record: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("id", "repository", "number", "title", "author", "author_id")
        }
        return record | {
            "author_type": self.author_type,
            "state": "MERGED" if self.merged_at else "CLOSED" if ended else "OPEN",
            "created_at": self.created_at,
            "merged_at": self.merged_at,
            "closed_at": ended,
            "first_commit_at": self.first_commit_at,
            "base_ref": self.base_ref,
            "head_ref": self.head_ref,
            "labels": list(self.labels),
            "vanished": self.is_vanished,
            "reviews": [],
        }


@dataclass(frozen=True, kw_only=True)
class Status:
    """One status of a GitHub deployment; `state` is in lower case."""

    state: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class GitHubDeployment:
    id: str
    repository: str
    environment: str | None
    commit_sha: str | None
    created_at: datetime
    statuses: tuple[Status, ...]
    original_environment: str | None = None
    task: str = "deploy"
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Release:
    id: str
    repository: str
    tag: str
    commit_sha: str | None
    published_at: datetime | None
    is_draft: bool = False
    is_prerelease: bool = False
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A tag with the commit that it points to; `tagged_at` is null for a lightweight tag."""

    id: str
    repository: str
    name: str
    commit_sha: str
    tagged_at: datetime | None
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt of a workflow run; `conclusion` is in lower case."""

    number: int
    conclusion: str | None
    run_started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class WorkflowRun:
    """A run; `workflow` is the workflow's name, `path` its file."""

    id: str
    repository: str
    workflow: str
    path: str
    branch: str
    head_sha: str
    attempts: tuple[Attempt, ...]
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Issue:
    """A GitHub issue; `closed_by` is the pull request or commit of its last close, if any."""

    id: str
    repository: str
    number: int
    title: str
    labels: tuple[str, ...]
    created_at: datetime
    closed_at: datetime | None = None
    state_reason: str | None = None
    closed_by: str | None = None
    body: str = ""
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Incident:
    """A row of `raw.incidents`."""

    source: str
    id: str
    started_at: datetime
    resolved_at: datetime | None = None
    title: str = ""
    url: str | None = None
    severity: str | None = None
    repository: str | None = None
    target: str | None = None
    deployment_id: str | None = None
    commit_sha: str | None = None
    pull_request: str | None = None
    caused_by_change: bool | None = None
    fixed_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of the setting DEPLOYMENTS."""

    repositories: tuple[str, ...]
    target: str | None = None
    source: str = "deployments"
    environment: str = DEFAULT_ENVIRONMENT
    tag: str = ""
    prereleases: bool = False
    workflow: str = ""
    branch: str | None = None
    labels: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"source is {self.source!r}; it must be one of {SOURCES}")


DEFAULT_RULES = (Rule(repositories=("*",)),)


@dataclass(frozen=True, kw_only=True)
class IncidentRule:
    """The part of the setting INCIDENTS about GitHub issues; no repositories means all."""

    labels: tuple[str, ...]
    repositories: tuple[str, ...] = ("*",)


@dataclass(frozen=True, kw_only=True)
class World:
    """The complete input.

    `repositories` maps each repository to its default branch. `teams` is a team configuration.
    `coverage` is how far the pull requests of each repository are loaded; `delivery_coverage` is
    the same for deployments, commits and incidents, under any name. `exclusions` is the setting
    PULL_REQUESTS, `automation` is AUTOMATION_LOGINS.
    """

    repositories: Mapping[str, str]
    teams: tuple[Record, ...]
    pull_requests: tuple[PullRequest, ...] = ()
    commits: tuple[Commit, ...] = ()
    deployments: tuple[GitHubDeployment, ...] = ()
    releases: tuple[Release, ...] = ()
    tags: tuple[Tag, ...] = ()
    workflow_runs: tuple[WorkflowRun, ...] = ()
    issues: tuple[Issue, ...] = ()
    incidents: tuple[Incident, ...] = ()
    rules: tuple[Rule, ...] = DEFAULT_RULES
    incident_rule: IncidentRule | None = None
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    delivery_coverage: Mapping[str, Coverage] = field(default_factory=dict)
    exclusions: tuple[Record, ...] = ()
    automation: tuple[str, ...] = ()
