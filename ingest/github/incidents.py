"""Reads incidents from GitHub's issues and the lines in their bodies; makes rows of `raw`."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BeforeValidator, Field

from ingest.delivery.incident_rules import GITHUB
from ingest.github.models import Label, Node, Row, Text

# Lines such as "Started: 2026-03-02T10:00Z", also as list items or in bold. Bodies written on
# GitHub's website have \r\n.
_LINE = re.compile(
    r"^[ \t>*_-]*(started|caused by|service|severity)[ \t*_]*:[ \t*_]*(\S.*?)[ \t*_\r]*$",
    re.IGNORECASE | re.MULTILINE,
)
_NO_ONE = {"none", "nothing", "no", "no change", "not a change", "n/a"}
_PULL_REQUEST = re.compile(
    r"(?:https?://[^/\s]+/([\w.-]+/[\w.-]+)/pull/|([\w-]+/[\w.-]+)?#)(\d+)\b"
)
_COMMIT = re.compile(r"(?:\S*/commit/)?\b([0-9a-f]{40})\b", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"\b((?:DE|RE|REF|WFR)_[\w-]+)")
_REPOSITORY = re.compile(r"(?:https?://[^/\s]+/)?([\w-]+/[\w.-]+?)/?")


def _without_nulls(nodes: Any) -> Any:
    """Leave out nulls: objects that the token may not see, such as another repository's."""
    return [node for node in nodes if node] if isinstance(nodes, list) else nodes


T = TypeVar("T")
Given = Annotated[list[T], BeforeValidator(_without_nulls)]


class _Labels(Node):
    total_count: int
    nodes: Given[Label]


class _Repository(Node):
    name_with_owner: str


class _Closer(Node):
    typename: str = Field(alias="__typename")
    number: int | None = None
    repository: _Repository | None = None
    oid: str | None = None


class _Closing(Node):
    closer: _Closer | None = None


class _Closings(Node):
    nodes: Given[_Closing]


class _Linked(Node):
    number: int
    merged_at: AwareDatetime | None
    repository: _Repository


class _LinkedOnes(Node):
    nodes: Given[_Linked]


class Issue(Node):
    """An issue that may be an incident."""

    id: str
    number: int
    title: Text
    url: str
    body: Text
    state: Literal["OPEN", "CLOSED"]
    state_reason: str | None
    created_at: AwareDatetime
    closed_at: AwareDatetime | None
    labels: _Labels | None
    closings: _Closings
    linked: _LinkedOnes | None = Field(alias="closedByPullRequestsReferences")

    def is_incident(self, labels: set[str], listed_by: str | None = None) -> bool:
        """Whether it has one of these labels (in lower case) and was not discarded.

        It also has the label `listed_by`, in whose list GitHub returned it. Raises `ValueError` if
        this is unknown, because it has more labels than were requested.
        """
        shown = self.labels.nodes if self.labels else []
        found = {label.name.casefold() for label in shown} | {(listed_by or "").casefold()}
        if self.labels and not found & labels and len(shown) < self.labels.total_count:
            raise ValueError(f"{len(shown)} of {self.labels.total_count} labels could be read")
        is_discarded = self.state == "CLOSED" and self.state_reason in {"NOT_PLANNED", "DUPLICATE"}
        return bool(found & labels) and not is_discarded

    def row(self, repository: str, *, is_deployed: bool) -> Row:
        """Return the row of `raw.incidents`.

        An issue in an ingested repository (`is_deployed`) is about that repository, unless a line
        says otherwise; an issue in another one, such as a repository only for incidents, is not.
        """
        said = {name.lower(): value for name, value in _LINE.findall(self.body)}
        about, target = repository if is_deployed else None, None
        if service := said.get("service", "").strip("`"):
            named = _REPOSITORY.fullmatch(service)
            about, target = (named[1], None) if named else (about, service)
        started = _instant(said.get("started"))
        if started is None or (self.closed_at and started > self.closed_at):
            started = self.created_at
        return {
            "source": GITHUB,
            "id": self.id,
            "title": self.title,
            "url": self.url,
            "severity": said.get("severity"),
            "started_at": started,
            "resolved_at": self.closed_at if self.state == "CLOSED" else None,
            "repository": about,
            "target": target,
            **_cause(said.get("caused by", ""), repository),
            "fixed_by": self._fixed_by() if self.state == "CLOSED" else None,
        }

    def _fixed_by(self) -> str | None:
        """Return the last pull request or commit that closed it, or a merged linked one."""
        closer = self.closings.nodes[-1].closer if self.closings.nodes else None
        if closer and closer.number and closer.repository:
            return f"{closer.repository.name_with_owner}#{closer.number}"
        if closer and closer.oid:
            return closer.oid
        merged = [each for each in (self.linked.nodes if self.linked else ()) if each.merged_at]
        if not merged:
            return None
        last = max(merged, key=lambda each: (each.merged_at, each.number))
        return f"{last.repository.name_with_owner}#{last.number}"


def _cause(text: str, repository: str) -> Row:
    """Read a "Caused by" line; a plain number is a pull request of the issue's repository."""
    cause: dict[str, Any] = dict.fromkeys(
        ("deployment_id", "commit_sha", "pull_request", "caused_by_change")
    )
    if text.casefold().rstrip(".") in _NO_ONE:
        cause["caused_by_change"] = False
    if deployment := _DEPLOYMENT.search(text):
        cause["deployment_id"] = deployment[1]
    if commit := _COMMIT.search(text):
        cause["commit_sha"] = commit[1].lower()
    if pull_request := _PULL_REQUEST.search(text):
        name = pull_request[1] or pull_request[2] or repository
        cause["pull_request"] = f"{name}#{int(pull_request[3])}"
    return cause


def _instant(text: str | None) -> datetime | None:
    """Read an instant, in UTC if it has no zone; return None if the text is not an instant."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(re.sub(r"\s*(UTC|Z)$", "+00:00", text.strip("`")))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
