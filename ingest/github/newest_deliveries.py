"""The count and the newest of each repository's deployments, releases and tags.

Probes also request these for repositories whose rules need them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from ingest.github.adaptive_page_size import LONGEST
from ingest.github.deliveries import KINDS, Kind
from ingest.github.responses import REFUSED, Answer


class Shown(BaseModel):
    """GitHub's count and newest item of a list; if both are the same, the list did not change."""

    count: int
    newest: str | None = None


@dataclass
class Listed:
    """The lists still to request (`waiting`), and those that GitHub returned, `at` an instant.

    `refused` are GitHub's reasons for refusing a list to the token, `unclear` for not returning it.
    """

    waiting: dict[Kind, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    shown: dict[tuple[Kind, str], Shown] = field(default_factory=dict)
    at: dict[tuple[Kind, str], datetime] = field(default_factory=dict)
    refused: dict[tuple[Kind, str], str] = field(default_factory=dict)
    unclear: dict[tuple[Kind, str], str] = field(default_factory=dict)
    _asked: set[tuple[Kind, str]] = field(default_factory=set)

    def want(self, repository_id: str, kinds: Sequence[Kind]) -> None:
        """Request these lists of a repository, once in a run."""
        for kind in kinds:
            if (kind, repository_id) not in self._asked:
                self._asked.add((kind, repository_id))
                self.waiting[kind].append(repository_id)

    @property
    def is_waiting(self) -> bool:
        """Whether lists are still to be requested."""
        return any(self.waiting.values())

    def variables(self) -> Mapping[str, list[str]]:
        """Return the lists to request in the next probe."""
        return {kind: ids[:LONGEST] for kind, ids in self.waiting.items()}

    def read(self, answer: Answer) -> None:
        """Read a probe's answer; lists that it did not request continue to wait."""
        for kind in KINDS:
            nodes = answer.data.get(kind) or []
            ids, self.waiting[kind] = (
                self.waiting[kind][: len(nodes)],
                self.waiting[kind][len(nodes) :],
            )
            for index, (repository_id, node) in enumerate(zip(ids, nodes, strict=True)):
                self._read(kind, repository_id, node, answer, index)

    def _read(self, kind: Kind, repository_id: str, node: Any, answer: Answer, index: int) -> None:
        page = (node or {}).get("page")
        nodes = (page or {}).get("nodes") or []
        if page and (nodes or not page["totalCount"]) and all(nodes):
            key = (kind, repository_id)
            self.shown[key] = Shown(count=page["totalCount"], newest=name_newest(nodes))
            self.at[key] = answer.at
            return
        error = answer.error_about(kind, index) or {}
        message = str(error.get("message", "GitHub returned nothing for it"))
        if error.get("type") in REFUSED and error.get("path") != [kind, index]:
            self.refused[kind, repository_id] = message
        elif error.get("type") not in {"NOT_FOUND", *REFUSED}:
            self.unclear[kind, repository_id] = message


def name_newest(nodes: Sequence[Any]) -> str | None:
    """Return a name for the first node; it changes if a tag is moved."""
    if not nodes or not nodes[0]:
        return None
    target = (nodes[0].get("target") or {}).get("oid")
    return f"{nodes[0]['id']} {target}" if target else str(nodes[0]["id"])
