"""How many deployments, releases and tags a repository has, and which is the newest.

Probes ask it beside their own question, of the repositories whose rules need it.
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
    """What GitHub shows of a repository's list: equal again, nothing came and nothing went."""

    count: int
    newest: str | None = None


@dataclass
class Listed:
    """The lists that are still to be asked for, and those that GitHub showed, `at` when.

    `refused` says why the token may not see one, `unclear` why GitHub did not show one.
    """

    waiting: dict[Kind, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    shown: dict[tuple[Kind, str], Shown] = field(default_factory=dict)
    at: dict[tuple[Kind, str], datetime] = field(default_factory=dict)
    refused: dict[tuple[Kind, str], str] = field(default_factory=dict)
    unclear: dict[tuple[Kind, str], str] = field(default_factory=dict)
    _asked: set[tuple[Kind, str]] = field(default_factory=set)

    def want(self, repository_id: str, kinds: Sequence[Kind]) -> None:
        """Have these lists of a repository asked for, once in a run."""
        for kind in kinds:
            if (kind, repository_id) not in self._asked:
                self._asked.add((kind, repository_id))
                self.waiting[kind].append(repository_id)

    @property
    def is_waiting(self) -> bool:
        """Whether something is still to be asked for."""
        return any(self.waiting.values())

    def variables(self) -> Mapping[str, list[str]]:
        """Return what the next probe asks for."""
        return {kind: ids[:LONGEST] for kind, ids in self.waiting.items()}

    def read(self, answer: Answer) -> None:
        """Take in what a probe showed; what it did not ask for goes on waiting."""
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
        message = str(error.get("message", "GitHub gives nothing for it"))
        if error.get("type") in REFUSED and error.get("path") != [kind, index]:
            self.refused[kind, repository_id] = message
        elif error.get("type") not in {"NOT_FOUND", *REFUSED}:
            self.unclear[kind, repository_id] = message


def name_newest(nodes: Sequence[Any]) -> str | None:
    """Name the newest, the first of these: a moved tag is another one."""
    if not nodes or not nodes[0]:
        return None
    target = (nodes[0].get("target") or {}).get("oid")
    return f"{nodes[0]['id']} {target}" if target else str(nodes[0]["id"])
