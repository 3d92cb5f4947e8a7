"""Completes pages: fetches separately what a page cannot hold or GitHub did not return."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ingest.github.adaptive_page_size import LONGEST
from ingest.github.batching import in_parts
from ingest.github.client import GitHub
from ingest.github.errors import Unanswerable
from ingest.github.models import Connection, DraftEvent, Label, PullRequest, Review, Reviews
from ingest.github.pagination import Page, Rejected, read_pull_requests
from ingest.github.queries import details_document
from ingest.github.responses import Answer

# At most this many unusable pull requests of a page are requested singly.
SINGLY = 5
# The most nodes in a request for details, as many as on a page.
MOST_NODES = 2500
# Attempts for a connection that GitHub returns with a null or an error in it.
TRIES = 3


@dataclass
class Fetched:
    """Pull requests requested by id: the usable, the unusable and the deleted ones."""

    pull_requests: list[PullRequest]
    rejected: list[Rejected]
    gone: list[str]


@dataclass
class Refetcher:
    """Completes pages in place, before they are loaded."""

    github: GitHub

    async def complete(self, pages: Sequence[Page]) -> None:
        """Fetch the missing parts of these pages; add unreadable pull requests to `rejected`."""
        for page in pages:
            if page.nulls or page.suspects:
                await self._fetch_singly(page)
        pull_requests = [pr for page in pages for pr in page.pull_requests]
        read_anew: set[str] = set()
        for _ in range(2):
            # A review was added or deleted between pages, or GitHub miscounts: read all once more.
            for pr in pull_requests:
                if pr.is_whole and not pr.is_as_counted and pr.id not in read_anew:
                    read_anew.add(pr.id)
                    pr.reviews.restart()
            await self._read_on(pull_requests)
        for page in pages:
            _reject_incomplete(page)

    async def pull_requests(self, ids: Sequence[str]) -> Fetched:
        """Fetch pull requests by node id, each with the same fields as on a page."""
        fetched = Fetched([], [], [])
        async for part, answer in in_parts(self.github, "pull_requests", ids):
            if isinstance(answer, Unanswerable):
                fetched.rejected.append(Rejected(part[0], None, str(answer)))
                continue
            found, rejected = read_pull_requests(answer, answer.data["nodes"], "nodes")
            fetched.pull_requests += found
            fetched.rejected += rejected
            for position, (key, node) in enumerate(zip(part, answer.data["nodes"], strict=True)):
                if node is not None:
                    continue
                error = answer.error_at("nodes", position) or {}
                if error.get("type") == "NOT_FOUND":
                    fetched.gone.append(key)
                else:
                    reason = str(error.get("message", "GitHub returned null for it"))
                    fetched.rejected.append(Rejected(key, None, reason))
        return fetched

    async def _fetch_singly(self, page: Page) -> None:
        if page.nulls:
            behind = await self._behind_nulls(page)
            if behind is None:
                return
            page.suspects += behind
            page.nulls = []
        fetched = await self.pull_requests([each.id for each in page.suspects if each.id])
        if len(page.suspects) > 1 and len(fetched.rejected) <= SINGLY:
            # Together they may have been too big. If many fail, the cause is something else.
            for rejected in list(fetched.rejected):
                fetched.rejected.remove(rejected)
                alone = await self.pull_requests([str(rejected.id)])
                fetched.pull_requests += alone.pull_requests
                fetched.rejected += alone.rejected
        page.pull_requests += fetched.pull_requests
        page.rejected += [each for each in page.suspects if each.id is None]
        page.rejected += fetched.rejected
        if len(page.rejected) > SINGLY and not page.pull_requests:
            # An outage, or missing access: another run tries again.
            page.nulls = [page.rejected[0].reason]
            return
        # Only now, because a page with suspects is not loaded.
        page.suspects = []

    async def _behind_nulls(self, page: Page) -> list[Rejected] | None:
        """Request the ids on the page again, up to its end; changed pull requests have moved above.

        Return None if GitHub fails to return them: the page then waits for another run.
        """
        ids: list[str | None] = []
        after = page.asked_after
        while len(ids) < _end_of(page, ids):
            variables = {"ids": [page.repository_id], "first": LONGEST - len(ids), "after": after}
            answer = await self.github.query("ids", variables)
            connection = (answer.data["nodes"][0] or {}).get("pullRequests")
            if connection is None or connection["nodes"] is None:
                return None
            ids += [node["id"] if node else None for node in connection["nodes"]]
            info = connection["pageInfo"]
            if not info["hasNextPage"]:
                break
            if info["endCursor"] in {None, after}:
                return None
            after = info["endCursor"]
        known = {suspect.id for suspect in page.suspects} | {pr.id for pr in page.pull_requests}
        ids = ids[: _end_of(page, ids)]
        return [Rejected(key, None, page.nulls[0]) for key in ids if key not in known]

    async def _read_on(self, pull_requests: Sequence[PullRequest]) -> None:
        """Read unfinished connections to their end, many per request."""
        failed: Counter[tuple[str, str]] = Counter()
        while rest := [part for part in _parts(pull_requests) if failed[part.key] < TRIES]:
            for parts in _within_budget(rest):
                first = max(part.first for part in parts)
                async for asked, answer in in_parts(
                    self.github, "details", parts, {"first": first}, _details
                ):
                    if isinstance(answer, Unanswerable):
                        failed[asked[0].key] = TRIES
                        continue
                    for index, part in enumerate(asked):
                        if not part.take(answer, f"c{index}"):
                            failed[part.key] += 1


@dataclass(frozen=True)
class _Part:
    """The next page of a pull request's connection."""

    pull_request: PullRequest
    name: str
    connection: Connection

    @property
    def key(self) -> tuple[str, str]:
        return self.pull_request.id, self.name

    @property
    def first(self) -> int:
        """How many nodes are left; the longest page if GitHub does not count them."""
        if isinstance(self.connection, Reviews):
            left = self.connection.total_count - len(self.connection.nodes)
            return min(LONGEST, max(1, left))
        return LONGEST

    def take(self, answer: Answer, alias: str) -> bool:
        """Append the part from an answer; return whether it is complete and new."""
        node = answer.data.get(alias)
        if not node or answer.error_about(alias):
            return False
        try:
            further = type(self.connection).model_validate(node[self.name])
        except (ValidationError, KeyError):
            return False
        return _append(self.connection, further)


def _parts(pull_requests: Iterable[PullRequest]) -> Iterator[_Part]:
    for pr in pull_requests:
        for name, connection in pr.unfinished.items():
            yield _Part(pr, name, connection)


def _within_budget(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Group the parts into requests of at most `MOST_NODES` nodes."""
    taken: list[_Part] = []
    nodes = 0
    for part in parts:
        if taken and (nodes + part.first > MOST_NODES or len(taken) == LONGEST):
            yield taken
            taken, nodes = [], 0
        taken.append(part)
        nodes += part.first
    if taken:
        yield taken


def _details(asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    variables: dict[str, Any] = {}
    parts: list[_Part] = asked["ids"]
    for index, part in enumerate(parts):
        variables[f"id{index}"] = part.pull_request.id
        variables[f"first{index}"] = min(part.first, asked["first"])
        variables[f"after{index}"] = part.connection.page_info.end_cursor
    return details_document([part.name for part in parts]), variables


def _append(connection: Connection, further: Connection) -> bool:
    """Add a page to a connection; return whether that makes progress."""
    known = {_identity(node) for node in connection.nodes}
    new: list[Any] = [node for node in further.nodes if _identity(node) not in known]
    if not new and further.page_info.has_next_page:
        return False
    connection.nodes += new
    connection.page_info = further.page_info
    if isinstance(connection, Reviews) and isinstance(further, Reviews):
        connection.total_count = further.total_count
    return True


def _identity(node: Review | DraftEvent | Label) -> str:
    return node.name if isinstance(node, Label) else node.id


def _end_of(page: Page, ids: Sequence[str | None]) -> int:
    """Return how many ids after the cursor belong to the page, which ended with `last_id`."""
    if page.last_id in ids:
        return ids.index(page.last_id) + 1 + page.nulls_at_end
    return LONGEST


def _reject_incomplete(page: Page) -> None:
    incomplete = [pr for pr in page.pull_requests if not pr.is_whole]
    reason = "GitHub returned only a part of its reviews, labels or draft events"
    page.rejected += [Rejected(pr.id, pr.number, reason) for pr in incomplete]
    page.pull_requests = [pr for pr in page.pull_requests if pr.is_whole]
