"""Finds repositories and the changed ones among them, many in one request."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.github.batching import in_parts
from ingest.github.client import GitHub
from ingest.github.errors import Unanswerable
from ingest.github.models import Probed
from ingest.github.newest_deliveries import Listed
from ingest.github.pagination import AWAY
from ingest.github.queries import resolve_document
from ingest.github.responses import Answer, refused_token


@dataclass
class Found:
    """Repositories that GitHub shows, and those (by name or id) that it does not, with the reason.

    `named` maps configured names to ids. `unclear` are those that GitHub failed to return, which
    says nothing about the repository. `refusals` are the errors of refused repositories, `notes`
    are messages for people. `listed` are the lists of deliveries that the probes also ask for.
    """

    repositories: dict[str, Probed] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    away: dict[str, str] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    known_names: Mapping[str, str] = field(default_factory=dict)
    listed: Listed = field(default_factory=Listed)

    def add(self, node: Any, answer: Answer) -> str:
        """Add a repository; return its id."""
        probed = Probed.model_validate({**node, "at": answer.at})
        self.repositories[probed.id] = probed
        return probed.id

    def miss(self, name: str, answer: Answer, *path: str | int) -> None:
        """Record a missing repository: as away if GitHub says why, otherwise as unclear.

        Raises `TokenRefused` if GitHub shows it without its pull requests: a permission is missing.
        """
        shown = self.known_names.get(name, name)
        if refusal := _refusal_of(shown, answer, *path):
            self.refusals[shown] = refusal
        error = answer.error_about(*path)
        if error is None and path == ("repositoryOwner",):
            self.away[name] = "no such user or organisation"
        elif error and error.get("type") in AWAY:
            self.away[name] = str(error["message"])
        else:
            self.unclear[name] = str((error or {}).get("message", "GitHub returned nothing for it"))


def _refusal_of(name: str, answer: Answer, *path: str | int) -> dict[str, Any] | None:
    """Return the refusal at this path; raise `TokenRefused` if there is one below it."""
    refusal = answer.refusal_below(*path)
    if refusal is None or refusal["path"] == list(path):
        return refusal
    if path == ("repositoryOwner",):
        raise refused_token(f"the repositories of {name}", refusal, "Metadata: read")
    raise refused_token(f"the pull requests of {name}", refusal, "Pull requests: read")


async def probe(github: GitHub, ids: Sequence[str], found: Found) -> None:
    """Ask for the state of known repositories, 100 per request."""
    async for part, answer in in_parts(github, "probe", ids, found.listed.variables):
        if isinstance(answer, Unanswerable):
            found.unclear[part[0]] = str(answer)
            continue
        found.listed.read(answer)
        for index, (repository_id, node) in enumerate(zip(part, answer.data["nodes"], strict=True)):
            if node and node["__typename"] == "Repository" and node["pullRequests"]:
                found.add(node, answer)
            else:
                found.miss(repository_id, answer, "nodes", index)


async def resolve(
    github: GitHub, names: Sequence[str], found: Found, known: Container[str] = ()
) -> None:
    """Look up `owner/name`s, 100 per request.

    `known` holds names in lower case that belonged to a repository before. If GitHub does not find
    one of them now, the probe of that repository reports it.
    """
    async for part, answer in in_parts(github, "resolve", names, render=_by_name):
        if isinstance(answer, Unanswerable):
            found.unclear[part[0]] = str(answer)
            continue
        for index, name in enumerate(part):
            node = answer.data.get(f"r{index}")
            if node and node["pullRequests"]:
                found.named[name.casefold()] = found.add(node, answer)
            elif name.casefold() not in known:
                found.miss(name, answer, f"r{index}")


def _by_name(variables: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    names = variables["ids"]
    named = {}
    for index, name in enumerate(names):
        named[f"o{index}"], named[f"n{index}"] = name.split("/", 1)
    return resolve_document(len(names)), named


@dataclass
class Owned:
    """An owner: its node id and login, the ids of its repositories.

    `hidden` are GitHub's reasons for not showing other repositories.
    """

    id: str | None = None
    login: str = ""
    ids: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


async def owned(github: GitHub, owner: str, owner_id: str | None, found: Found) -> Owned:
    """List an owner's repositories, 100 per request.

    If the login no longer exists, list those of `owner_id`, who had it before.
    """
    shown = Owned(login=owner)
    name, variables = "owned", {"owner": owner}
    after = None
    while True:
        asked = {**found.listed.variables(), **variables, "after": after}
        answer = await github.query(name, asked)
        found.listed.read(answer)
        node = answer.data["repositoryOwner"]
        if not node and name == "owned" and owner_id and not answer.error_at("repositoryOwner"):
            name, variables = "owned_by_id", {"id": owner_id}
            continue
        if not node:
            found.miss(f"{owner}/*", answer, "repositoryOwner")
            return shown
        shown.id, shown.login = node["id"], node["login"]
        page = node["repositories"]
        info = page["pageInfo"]
        if page["nodes"] is None or (info["hasNextPage"] and info["endCursor"] in {None, after}):
            found.unclear[f"{owner}/*"] = "GitHub returned only a part of its repositories"
            return shown
        for index, repository in enumerate(page["nodes"]):
            place = ("repositoryOwner", "repositories", "nodes", index)
            if repository and repository["pullRequests"]:
                shown.ids.append(found.add(repository, answer))
            else:
                if refusal := _refusal_of(owner, answer, *place):
                    found.refusals[owner] = refusal
                shown.hidden.append(str((answer.error_at(*place) or {}).get("message")))
        if not info["hasNextPage"]:
            return shown
        after = info["endCursor"]
