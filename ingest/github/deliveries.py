"""Models that validate GitHub's answers about deliveries and make rows of `raw`.

Names and nullability: the types Deployment, DeploymentStatus, Release, Ref and Tag of GitHub's
schema.
"""

from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, AliasPath, AwareDatetime, Field

from ingest.github.models import Node, PageInfo, Row, Text, each_once

Kind = Literal["deployments", "releases", "tags"]
# Each kind is a connection of a repository at GitHub and a table of `raw`.
KINDS: tuple[Kind, ...] = ("deployments", "releases", "tags")


class Status(Node):
    """A status of a deployment."""

    id: str
    state: str
    environment: Text | None
    environment_url: Text | None
    created_at: AwareDatetime


class Statuses(Node):
    """Pages of a deployment's statuses, without duplicates."""

    total_count: int
    page_info: PageInfo
    nodes: Annotated[list[Status], AfterValidator(each_once)]

    def in_order(self) -> list[Status]:
        """Return them oldest first, in whichever order GitHub lists them.

        If all have the same second, this assumes newest first, GitHub's order at present.
        """
        nodes = self.nodes
        if nodes and nodes[0].created_at >= nodes[-1].created_at:
            nodes = nodes[::-1]
        return sorted(nodes, key=attrgetter("created_at"))


class Deployment(Node):
    """A deployment with the first page of its statuses."""

    id: str
    commit_oid: str
    environment: Text | None
    original_environment: Text | None
    task: Text | None
    state: str | None
    ref: Text | None = Field(default=None, validation_alias=AliasPath("ref", "name"))
    created_at: AwareDatetime
    updated_at: AwareDatetime
    statuses: Statuses

    @property
    def listed_at(self) -> datetime | None:
        """The instant by which GitHub orders its list."""
        return self.created_at

    def row(self, repository_id: str) -> Row:
        """Return the row of `raw.deployments` with its nested statuses."""
        columns = self.model_dump(exclude={"commit_oid", "statuses"}, by_alias=False)
        statuses = [
            {
                "id": status.id,
                "deployment_id": self.id,
                "state": status.state,
                "environment": status.environment,
                "url": status.environment_url,
                "created_at": status.created_at,
                "position": position,
            }
            for position, status in enumerate(self.statuses.in_order())
        ]
        return {
            **columns,
            "repository_id": repository_id,
            "commit_sha": self.commit_oid,
            "statuses": statuses,
        }


class Release(Node):
    """A release; `commit_sha` is null for a draft whose tag does not exist yet."""

    id: str
    tag: Text = Field(alias="tagName")
    name: Text | None = Field(alias="title")
    url: str
    is_draft: bool
    is_prerelease: bool
    created_at: AwareDatetime
    published_at: AwareDatetime | None
    commit_sha: str | None = Field(default=None, validation_alias=AliasPath("tagCommit", "oid"))

    @property
    def listed_at(self) -> datetime | None:
        """The instant by which GitHub orders its list."""
        return self.created_at

    def row(self, repository_id: str) -> Row:
        """Return the row of `raw.releases`."""
        return {**self.model_dump(by_alias=False), "repository_id": repository_id}


class Tag(Node):
    """A tag: a ref to a commit, or to a tag object that leads to one."""

    id: str
    name: Text
    repository_url: str = Field(validation_alias=AliasPath("repository", "url"))
    target: dict[str, Any] | None

    @property
    def listed_at(self) -> datetime | None:
        """None: GitHub orders tags by the dates of their commits."""
        return None

    @property
    def commit_sha(self) -> str | None:
        """The commit that it points to; None for a tag of a file, or of deeply nested tags."""
        target = self.target or {}
        while target.get("__typename") == "Tag":
            target = target.get("target") or {}
        return target.get("oid") if target.get("__typename") == "Commit" else None

    @property
    def tagged_at(self) -> datetime | None:
        """When it was tagged; None for a lightweight tag."""
        date = ((self.target or {}).get("tagger") or {}).get("date")
        return datetime.fromisoformat(date) if date else None

    def row(self, repository_id: str) -> Row:
        """Return the row of `raw.tags`."""
        return {
            "id": self.id,
            "repository_id": repository_id,
            "tag": self.name,
            "url": f"{self.repository_url}/releases/tag/{quote(self.name)}",
            "commit_sha": self.commit_sha,
            "tagged_at": self.tagged_at,
        }


Delivered = Deployment | Release | Tag
MODELS: dict[Kind, type[Deployment] | type[Release] | type[Tag]] = {
    "deployments": Deployment,
    "releases": Release,
    "tags": Tag,
}
