"""Which repositories there are, and which of them have changed: many in one request."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.github.client import Answer, GitHub, PageSize
from ingest.github.models import Probed
from ingest.github.queries import resolve_document

AT_ONCE = 100
# Deleted or not for us; blocked: by SAML, by a list of addresses, by GitHub.
_AWAY = {"NOT_FOUND", "FORBIDDEN"}


@dataclass
class Found:
    """Repositories that GitHub shows, and those (by name or id) that it does not, with its reason.

    `named` says which configured name led to which id, `unclear` what GitHub fails to show this
    time, which says nothing of the repository.
    """

    repositories: dict[str, Probed] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    away: dict[str, str] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)

    def add(self, node: Any, answer: Answer) -> str:
        """Keep a repository; return its id."""
        probed = Probed.model_validate({**node, "at": answer.at})
        self.repositories[probed.id] = probed
        return probed.id

    def miss(self, name: str, answer: Answer, *path: str | int) -> None:
        """Note that a repository is not shown: away for good reason, or unclear for none."""
        error = answer.error_at(*path) or {}
        reason = str(error.get("message", "GitHub gives nothing for it"))
        if error.get("type") in _AWAY:
            self.away[name] = reason
        else:
            self.unclear[name] = reason


async def probe(github: GitHub, ids: Sequence[str], found: Found) -> None:
    """Look at known repositories: one request for 100."""
    for start in range(0, len(ids), AT_ONCE):
        chunk = list(ids[start : start + AT_ONCE])
        answer = await github.query("probe", {"ids": chunk})
        for index, (repository_id, node) in enumerate(
            zip(chunk, answer.data["nodes"], strict=True)
        ):
            if node and node["__typename"] == "Repository":
                found.add(node, answer)
            else:
                found.miss(repository_id, answer, "nodes", index)


async def resolve(
    github: GitHub, names: Sequence[str], found: Found, known: Container[str] = ()
) -> None:
    """Look up `owner/name`s: one request for 100.

    A name in `known`, in lower case, has led to a repository before; that it leads to none now is
    said by the probe of that repository.
    """
    for start in range(0, len(names), AT_ONCE):
        chunk = names[start : start + AT_ONCE]
        variables = {}
        for index, name in enumerate(chunk):
            variables[f"o{index}"], variables[f"n{index}"] = name.split("/", 1)
        answer = await github.query("resolve", variables, text=resolve_document(len(chunk)))
        for index, name in enumerate(chunk):
            if node := answer.data.get(f"r{index}"):
                found.named[name.casefold()] = found.add(node, answer)
            elif name.casefold() not in known:
                found.miss(name, answer, f"r{index}")


async def owned(github: GitHub, owner: str, found: Found) -> list[str]:
    """List an owner's repositories, 100 in a request; return their ids."""
    ids: list[str] = []
    size = PageSize(AT_ONCE)
    after = None
    while True:
        answer = await github.query("owned", {"owner": owner, "after": after}, size=size)
        if answer.data["repositoryOwner"] is None and answer.error_at("repositoryOwner"):
            found.unclear[f"{owner}/*"] = "GitHub does not show what it owns"
            return ids
        if answer.data["repositoryOwner"] is None:
            found.away[f"{owner}/*"] = f"there is no user or organisation {owner!r}"
            return ids
        page = answer.data["repositoryOwner"]["repositories"]
        ids += [found.add(node, answer) for node in page["nodes"] if node]
        if not page["pageInfo"]["hasNextPage"]:
            return ids
        after = page["pageInfo"]["endCursor"]
