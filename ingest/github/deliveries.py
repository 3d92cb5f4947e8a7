"""GitHub's answers about deliveries, validated, and the rows of `raw` that they become.

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
# The kinds that GitHub lists, each in a connection of a repository and a table of `raw`.
KINDS: tuple[Kind, ...] = ("deployments", "releases", "tags")


class Status(Node):
    """A status of a deployment."""

    id: str
    state: str
    environment: Text | None
    environment_url: Text | None
    created_at: AwareDatetime


class Statuses(Node):
    """Pages of a deployment's statuses, each once, however often GitHub gives it."""

    total_count: int
    page_info: PageInfo
    nodes: Annotated[list[Status], AfterValidator(each_once)]

    def in_order(self) -> list[Status]:
        """Return them oldest first, whichever way GitHub lists them.

        Newest first, if all are of one second: that is how it lists them at present.
        """
        nodes = self.nodes
        if nodes and nodes[0].created_at >= nodes[-1].created_at:
            nodes = nodes[::-1]
        return sorted(nodes, key=attrgetter("created_at"))


class Deployment(Node):
    """A deployment with the first page of its statuses; GitHub may give null for these."""

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
        """The instant by which GitHub lists it."""
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
    """A release; `tag_commit` is null for a draft whose tag is not there yet."""

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
        """The instant by which GitHub lists it."""
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
        """Null: GitHub lists tags by their commits."""
        return None

    @property
    def commit_sha(self) -> str | None:
        """The commit that it leads to; null for a tag of a file, or of a tag of tags of tags."""
        target = self.target or {}
        while target.get("__typename") == "Tag":
            target = target.get("target") or {}
        return target.get("oid") if target.get("__typename") == "Commit" else None

    @property
    def tagged_at(self) -> datetime | None:
        """When it was tagged; null for a lightweight tag."""
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
