"""Models that validate GitHub's answers and make rows of `raw`.

Names and nullability: the types PullRequest, PullRequestReview and Actor of GitHub's schema.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Protocol, Self, TypeVar

from pydantic import (
    AfterValidator,
    AliasPath,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.alias_generators import to_camel

from ingest.github.reverts import find_reverts

Row = dict[str, Any]

_EVENTS = {
    "ReadyForReviewEvent": "ready_for_review",
    "ConvertToDraftEvent": "convert_to_draft",
}


# dlt marks types with these noncharacters: see ingest/__init__.py.
_NO_CHARACTERS = re.compile("[\ufdd0-\ufdef]")


def _storable(value: Any) -> Any:
    """Remove NUL and replace half surrogate pairs: JSON allows them, Postgres does not."""
    if not isinstance(value, str):
        return value
    if not value.isascii():
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        value = _NO_CHARACTERS.sub("\ufffd", value)
    return value.replace("\0", "")


Text = Annotated[str, BeforeValidator(_storable)]


class Node(BaseModel):
    """A part of an answer, with GitHub's names; unused fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class Actor(Node):
    """An account: a user, a bot, a mannequin…; GitHub returns null for a deleted one."""

    typename: str = Field(alias="__typename")
    login: Text
    id: str | None = None


class Review(Node):
    """A review; a pending one has no `submitted_at`."""

    id: str
    state: str
    submitted_at: AwareDatetime | None
    author: Actor | None

    def row(self, pull_request_id: str) -> Row:
        """Return the row of `raw.pull_request_reviews`."""
        return {
            "id": self.id,
            "pull_request_id": pull_request_id,
            **_author(self.author),
            "state": self.state,
            "submitted_at": self.submitted_at,
        }


class DraftEvent(Node):
    """A switch between draft and ready for review."""

    typename: str = Field(alias="__typename")
    id: str
    created_at: AwareDatetime

    def row(self, pull_request_id: str, position: int) -> Row:
        """Return the row of `raw.pull_request_draft_events`; `position` counts from 0."""
        return {
            "id": self.id,
            "pull_request_id": pull_request_id,
            "event": _EVENTS[self.typename],
            "created_at": self.created_at,
            "position": position,
        }


class _HasId(Protocol):
    id: str


_Identified = TypeVar("_Identified", bound=_HasId)


class PageInfo(Node):
    """Where a connection continues; `end_cursor` is null on an empty page."""

    has_next_page: bool
    end_cursor: str | None


def each_once(nodes: list[_Identified]) -> list[_Identified]:
    """Return the nodes without duplicate ids."""
    return list({node.id: node for node in nodes}.values())


class Label(Node):
    """A label, by its name."""

    name: Text


class Reviews(Node):
    """Pages of a pull request's reviews, without duplicates."""

    total_count: int
    page_info: PageInfo
    nodes: Annotated[list[Review], AfterValidator(each_once)]

    def restart(self) -> None:
        """Remove all reviews, so that they are read again from the start."""
        self.nodes, self.page_info = [], PageInfo(has_next_page=True, end_cursor=None)


class DraftEvents(Node):
    """Pages of a pull request's draft events."""

    page_info: PageInfo
    nodes: Annotated[list[DraftEvent], AfterValidator(each_once)]


class Labels(Node):
    """Pages of a pull request's labels."""

    page_info: PageInfo
    nodes: list[Label]


Connection = Reviews | DraftEvents | Labels


class PullRequest(Node):
    """A pull request as on a page of a walk, with the first pages of its connections."""

    id: str
    reviews: Reviews
    draft_events: DraftEvents = Field(alias="timelineItems")
    label_pages: Labels | None = Field(alias="labels")
    number: int
    title: Text
    url: str
    state: str
    is_draft: bool
    created_at: AwareDatetime
    updated_at: AwareDatetime
    closed_at: AwareDatetime | None
    merged_at: AwareDatetime | None
    additions: int
    deletions: int
    changed_files: int
    base_ref: Text = Field(alias="baseRefName")
    head_ref: Text = Field(alias="headRefName")
    head_sha: str | None = Field(default=None, alias="headRefOid")
    # Only to find reverts; it is not loaded.
    body: Text = ""
    author: Actor | None
    merged_by: Actor | None
    merge_commit_sha: str | None = Field(
        default=None, validation_alias=AliasPath("mergeCommit", "oid")
    )
    commits: int = Field(validation_alias=AliasPath("commits", "totalCount"))
    first_commit_at: AwareDatetime | None = Field(
        default=None,
        validation_alias=AliasPath("commits", "nodes", 0, "commit", "authoredDate"),
    )

    @property
    def unfinished(self) -> dict[str, Connection]:
        """The connections that have further pages, by GitHub's name."""
        connections: dict[str, Connection | None] = {
            "reviews": self.reviews,
            "timelineItems": self.draft_events,
            "labels": self.label_pages,
        }
        return {
            name: connection
            for name, connection in connections.items()
            if connection and connection.page_info.has_next_page
        }

    @property
    def is_whole(self) -> bool:
        """Whether no connection has a further page."""
        return not self.unfinished

    @property
    def is_as_counted(self) -> bool:
        """Whether it has as many reviews as GitHub counts."""
        return len(self.reviews.nodes) == self.reviews.total_count

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if (self.state == "MERGED") != (self.merged_at is not None):
            raise ValueError(f"state is {self.state}, merged_at {self.merged_at}")
        if (self.state == "OPEN") != (self.closed_at is None):
            raise ValueError(f"state is {self.state}, closed_at {self.closed_at}")
        for name, instant in (("merged_at", self.merged_at), ("closed_at", self.closed_at)):
            if instant is not None and instant < self.created_at:
                raise ValueError(
                    f"{name} {instant.isoformat()} is before created_at "
                    f"{self.created_at.isoformat()}"
                )
        return self

    def row(self, repository_id: str, repository: str) -> Row:
        """Return the row of `raw.pull_requests` with its nested reviews and draft events."""
        columns = self.model_dump(
            exclude={"author", "merged_by", "reviews", "draft_events", "label_pages", "body"},
            by_alias=False,
        )
        labels = self.label_pages.nodes if self.label_pages else []
        return {
            **columns,
            "repository_id": repository_id,
            "repository": repository,
            **_author(self.author),
            "reverts": find_reverts(repository, self.title, self.body, self.head_ref),
            "labels": [label.name for label in labels],
            "merged_by_login": self.merged_by.login if self.merged_by else None,
            "reviews": [review.row(self.id) for review in self.reviews.nodes],
            "draft_events": [
                event.row(self.id, position)
                for position, event in enumerate(self.draft_events.nodes)
            ],
        }

    def logins(self) -> set[tuple[str, str, str]]:
        """Return every (node id, login, type) of an account seen on it."""
        actors = [self.author, *(review.author for review in self.reviews.nodes)]
        return {(actor.id, actor.login, actor.typename) for actor in actors if actor and actor.id}


class Probed(Node):
    """A repository as a probe returns it; `newest` is its latest `updatedAt`, if it has any."""

    id: str
    repository: str = Field(alias="nameWithOwner")
    is_archived: bool
    pull_requests: int = Field(validation_alias=AliasPath("pullRequests", "totalCount"))
    newest: AwareDatetime | None = Field(
        default=None, validation_alias=AliasPath("pullRequests", "nodes", 0, "updatedAt")
    )
    default_branch: str | None = Field(
        default=None, validation_alias=AliasPath("defaultBranchRef", "name")
    )
    # The tip of the default branch; None without commits.
    tip: str | None = Field(
        default=None, validation_alias=AliasPath("defaultBranchRef", "target", "oid")
    )
    at: datetime

    @property
    def is_unclear(self) -> bool:
        """Whether there are pull requests but GitHub did not return the newest one."""
        return self.newest is None and self.pull_requests > 0


def _author(actor: Actor | None) -> Row:
    return {
        "author_id": actor.id if actor else None,
        "author_login": actor.login if actor else None,
        "author_type": actor.typename if actor else None,
    }
