"""Which repositories there are, and which of them have changed: many in one request."""

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
    """Repositories that GitHub shows, and those (by name or id) that it does not, with its reason.

    `named` says which configured name led to which id, `unclear` what GitHub fails to show this
    time, which says nothing of the repository; `refusals` are the errors of what is refused,
    `notes` are for a person. `listed` is what the probes ask for and find of deliveries.
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
        """Keep a repository; return its id."""
        probed = Probed.model_validate({**node, "at": answer.at})
        self.repositories[probed.id] = probed
        return probed.id

    def miss(self, name: str, answer: Answer, *path: str | int) -> None:
        """Note that a repository is not shown: away for good reason, or unclear for none.

        Raises `TokenRefused` if GitHub shows it but not its pull requests: a permission is missing.
        """
        shown = self.known_names.get(name, name)
        if refusal := _refusal_of(shown, answer, *path):
            self.refusals[shown] = refusal
        error = answer.error_about(*path)
        if error is None and path == ("repositoryOwner",):
            self.away[name] = "there is no such user or organisation"
        elif error and error.get("type") in AWAY:
            self.away[name] = str(error["message"])
        else:
            self.unclear[name] = str((error or {}).get("message", "GitHub gives nothing for it"))


def _refusal_of(name: str, answer: Answer, *path: str | int) -> dict[str, Any] | None:
    """Return the refusal of what is at this path; raise `TokenRefused` for one below it."""
    refusal = answer.refusal_below(*path)
    if refusal is None or refusal["path"] == list(path):
        return refusal
    if path == ("repositoryOwner",):
        raise refused_token(f"the repositories of {name}", refusal, "Metadata: read")
    raise refused_token(f"the pull requests of {name}", refusal, "Pull requests: read")


async def probe(github: GitHub, ids: Sequence[str], found: Found) -> None:
    """Look at known repositories: one request for 100."""
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
    """Look up `owner/name`s: one request for 100.

    A name in `known`, in lower case, has led to a repository before; that it leads to none now is
    said by the probe of that repository.
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
    """An owner as GitHub shows it: its node id and login, the ids of its repositories.

    `hidden` says why GitHub does not show some more of them.
    """

    id: str | None = None
    login: str = ""
    ids: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


async def owned(github: GitHub, owner: str, owner_id: str | None, found: Found) -> Owned:
    """List an owner's repositories, 100 in a request.

    Where nobody has the login any more, those of `owner_id`, who had it before.
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
            found.unclear[f"{owner}/*"] = "GitHub gives only a part of its repositories"
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
