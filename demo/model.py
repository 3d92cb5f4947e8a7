"""The objects of the demo's GitHub: accounts, repositories, pull requests, reviews, draft events.

An instant is a string in GitHub's wire form, UTC to the second (`2026-01-05T09:00:00Z`), so that
the order of strings is the order of instants. Attribute names are GitHub's field names in snake
case, by which the GraphQL resolvers read them.
"""

import base64
import bisect
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.delivery_model import Deployment, GitCommit, Issue, Ref, Release, Workflow

Key = tuple[str, int]


def instant(at: datetime | str) -> str:
    """Return the wire form of a datetime or ISO text with a zone, without fractions of a second."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    if moment.tzinfo is None:
        raise ValueError(f"an instant needs a time zone: {at!r}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node_id(prefix: str, *parts: object) -> str:
    """Return a stable, opaque id like GitHub's, from parts that identify the node."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:12]
    return f"{prefix}_kwDO{base64.urlsafe_b64encode(digest).decode()}"


def sha1(*parts: object) -> str:
    """Return a stable commit id: 40 hexadecimal digits."""
    return hashlib.sha1("\0".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


ACCOUNT_PREFIXES = {"User": "U", "Bot": "BOT", "Mannequin": "M", "Organization": "O"}


@dataclass(slots=True, eq=False)
class Account:
    """An account; `type` is the GraphQL `__typename` (User, Bot, Mannequin, Organization)."""

    id: str
    login: str
    type: str = "User"
    is_deleted: bool = False

    @property
    def url(self) -> str:
        return f"https://github.com/{'apps/' if self.type == 'Bot' else ''}{self.login}"


@dataclass(slots=True, eq=False)
class Review:
    """`position` rises with creation and is never reused; `submitted_at` is null while pending."""

    id: str
    position: int
    author: Account | None
    state: str
    submitted_at: str | None
    type: str = "PullRequestReview"


@dataclass(slots=True, eq=False)
class DraftEvent:
    """`type` is ReadyForReviewEvent or ConvertToDraftEvent."""

    id: str
    position: int
    type: str
    created_at: str


@dataclass(slots=True, eq=False)
class Label:
    id: str
    name: str


@dataclass(slots=True, eq=False)
class ChangedFile:
    """A file that a pull request changes."""

    path: str


@dataclass(slots=True, eq=False)
class Commit:
    """A pull request's commit, of which only the date is known."""

    id: str
    oid: str
    authored_date: str

    @property
    def committed_date(self) -> str:
        return self.authored_date


@dataclass(slots=True, eq=False)
class PullRequest:
    """`commit_count` is GitHub's count; only the first commit's date is stored.

    `changed_files` is a count as well; all files are in `folder`.
    """

    id: str
    repository: "Repository"
    number: int
    title: str
    author: Account | None
    created_at: str
    updated_at: str
    state: str = "OPEN"
    is_draft: bool = False
    closed_at: str | None = None
    merged_at: str | None = None
    merged_by: Account | None = None
    merge_commit_oid: str | None = None
    base_ref_name: str = "main"
    head_ref_name: str = "patch-1"
    head_oid: str | None = None
    body: str = ""
    first_commit_at: str | None = None
    commit_count: int = 0
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0
    folder: str = "src"
    labels: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    draft_events: list[DraftEvent] = field(default_factory=list)
    is_unreadable: bool = False

    @property
    def type(self) -> str:
        return "PullRequest"

    @property
    def url(self) -> str:
        return f"{self.repository.url}/pull/{self.number}"

    @property
    def head_ref_oid(self) -> str:
        return self.head_oid or sha1(self.id, "head")

    @property
    def paths(self) -> list[str]:
        return [f"{self.folder}/file_{number}.py" for number in range(self.changed_files)]

    @property
    def closed(self) -> bool:
        return self.state != "OPEN"

    @property
    def merged(self) -> bool:
        return self.state == "MERGED"

    @property
    def merge_commit(self) -> Commit | None:
        if self.merge_commit_oid is None:
            return None
        return Commit(
            node_id("C", self.merge_commit_oid),
            self.merge_commit_oid,
            self.merged_at or self.updated_at,
        )


@dataclass(slots=True, eq=False)
class Repository:
    """`blocked` is null or the message with which GitHub refuses access (FORBIDDEN).

    `branches` has the tip of each branch name; `histories` caches the results of `history`.
    """

    id: str
    owner: Account
    name: str
    created_at: str
    is_archived: bool = False
    blocked: str | None = None
    by_number: dict[int, PullRequest] = field(default_factory=dict)
    by_updated_at: list[Key] = field(default_factory=list)
    last_number: int = 0
    default_branch: str = "main"
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, "GitCommit"] = field(default_factory=dict)
    histories: dict[str, list[str]] = field(default_factory=dict)
    deployments: dict[str, "Deployment"] = field(default_factory=dict)
    releases: dict[str, "Release"] = field(default_factory=dict)
    tags: dict[str, "Ref"] = field(default_factory=dict)
    issues: dict[str, "Issue"] = field(default_factory=dict)
    workflows: list["Workflow"] = field(default_factory=list)

    @property
    def type(self) -> str:
        return "Repository"

    @property
    def name_with_owner(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def url(self) -> str:
        return f"https://github.com/{self.name_with_owner}"

    def add(self, pull_request: PullRequest) -> None:
        if pull_request.number in self.by_number:
            raise ValueError(f"{self.name_with_owner}#{pull_request.number} already exists")
        self.by_number[pull_request.number] = pull_request
        self.last_number = max(self.last_number, pull_request.number)
        bisect.insort(self.by_updated_at, (pull_request.updated_at, pull_request.number))

    def remove(self, pull_request: PullRequest) -> None:
        del self.by_number[pull_request.number]
        self._forget_place(pull_request)

    def touch(self, pull_request: PullRequest, at: str) -> None:
        """Move `updated_at` forward to `at`; it never goes back."""
        if at <= pull_request.updated_at:
            return
        self._forget_place(pull_request)
        pull_request.updated_at = at
        bisect.insort(self.by_updated_at, (at, pull_request.number))

    def _forget_place(self, pull_request: PullRequest) -> None:
        key = (pull_request.updated_at, pull_request.number)
        del self.by_updated_at[bisect.bisect_left(self.by_updated_at, key)]
