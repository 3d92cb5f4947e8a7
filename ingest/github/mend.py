"""Nothing is passed over: what a page could not hold, or GitHub did not give, is fetched singly."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ingest.github.client import GitHub
from ingest.github.errors import Unanswerable
from ingest.github.models import Details, PullRequest
from ingest.github.pages import Page, Rejected, read_pull_requests
from ingest.github.parts import in_parts
from ingest.github.sizes import PageSize, Sizes
from ingest.github.walk import NESTED

# How many pull requests are asked for at once: whole, or only what hangs on them.
AT_ONCE, DETAILS_AT_ONCE = 50, 10
# How many of a page are asked for singly after they could not be used.
SINGLY = 5
# GitHub's longest page.
LONGEST = 100


@dataclass
class Fetched:
    """Pull requests asked for by id: those that came, those we cannot use, those that are gone."""

    pull_requests: list[PullRequest]
    rejected: list[Rejected]
    gone: list[str]


@dataclass
class Mender:
    """Completes pages before they land, in place."""

    github: GitHub

    def __post_init__(self) -> None:
        self.sizes = Sizes(PageSize(AT_ONCE), PageSize(NESTED), of="ids")
        self.details_sizes = Sizes(
            PageSize(DETAILS_AT_ONCE), PageSize(LONGEST), of="ids", events=LONGEST
        )

    async def complete(self, pages: Sequence[Page]) -> None:
        """Fetch what is missing in these pages; what stays unreadable is in their `rejected`."""
        for page in pages:
            if page.nulls or page.suspects:
                await self._fetch_singly(page)
        await self._extend(
            {pr.id: pr for page in pages for pr in page.pull_requests if not pr.is_as_counted}
        )
        for page in pages:
            _reject_incomplete(page)

    async def pull_requests(self, ids: Sequence[str]) -> Fetched:
        """Fetch pull requests by node id, each with as much as a page would hold of it."""
        fetched = Fetched([], [], [])
        async for part, answer in in_parts(self.github, "pull_requests", ids, self.sizes):
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
                    reason = str(error.get("message", "GitHub gives null for it"))
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
            # Beside others it may have been too much. Where it is many, something else is wrong.
            for rejected in list(fetched.rejected):
                fetched.rejected.remove(rejected)
                alone = await self.pull_requests([str(rejected.id)])
                fetched.pull_requests += alone.pull_requests
                fetched.rejected += alone.rejected
        page.pull_requests += fetched.pull_requests
        page.rejected += [each for each in page.suspects if each.id is None]
        page.rejected += fetched.rejected
        if len(page.rejected) > SINGLY and not page.pull_requests:
            # An outage, or a token that may not see some of it: another run asks again.
            page.nulls = [page.rejected[0].reason]
            return
        # Only now: a page with suspects left does not land.
        page.suspects = []

    async def _behind_nulls(self, page: Page) -> list[Rejected] | None:
        """Ask for the page again, ids alone, down to where it ended: what moved is above it now.

        None where GitHub does not give it this time: the page then waits for another run.
        """
        variables = {"ids": [page.repository_id], "first": LONGEST, "after": page.asked_after}
        answer = await self.github.query("ids", variables)
        connection = (answer.data["nodes"][0] or {}).get("pullRequests")
        if connection is None:
            return None
        nodes = connection["nodes"]
        if nodes is None:
            return None
        ids = [node["id"] if node else None for node in nodes]
        if page.last_id in ids:
            ids = ids[: ids.index(page.last_id) + 1 + page.nulls_at_end]
        known = {suspect.id for suspect in page.suspects} | {pr.id for pr in page.pull_requests}
        return [Rejected(key, None, page.nulls[0]) for key in ids if key not in known]

    async def _extend(self, cut: dict[str, PullRequest]) -> None:
        """Read anew, from the start, what hangs on these."""
        async for details in self._details(list(cut)):
            cut[details.id].reviews = details.reviews
            cut[details.id].draft_events = details.draft_events
        for pr in cut.values():
            before: tuple[Any, Any] | None = None
            while not pr.is_whole:
                reviews, events = pr.reviews.page_info, pr.draft_events.page_info
                after = {
                    "reviewsAfter": reviews.end_cursor,
                    "draftEventsAfter": events.end_cursor,
                }
                further = [details async for details in self._details([pr.id], after)]
                # Nothing, or what is there already: it would never end.
                if not further or (further[0].reviews, further[0].draft_events) == before:
                    break
                before = (further[0].reviews, further[0].draft_events)
                _append(pr.reviews, further[0].reviews)
                _append(pr.draft_events, further[0].draft_events)

    async def _details(
        self, ids: list[str], after: dict[str, str | None] | None = None
    ) -> AsyncIterator[Details]:
        """Yield what GitHub gives of what hangs on pull requests; what it does not is left out."""
        async for _, answer in in_parts(self.github, "details", ids, self.details_sizes, after):
            if isinstance(answer, Unanswerable):
                continue
            for position, node in enumerate(answer.data["nodes"]):
                if node and not answer.error_about("nodes", position):
                    with suppress(ValidationError):
                        yield Details.model_validate(node)


def _append(connection: Any, further: Any) -> None:
    if not connection.page_info.has_next_page:
        return
    known = {node.id for node in connection.nodes}
    connection.nodes += [node for node in further.nodes if node.id not in known]
    connection.page_info = further.page_info


def _reject_incomplete(page: Page) -> None:
    incomplete = [pr for pr in page.pull_requests if not pr.is_whole]
    reason = "GitHub gives only a part of its reviews or draft events"
    page.rejected += [Rejected(pr.id, pr.number, reason) for pr in incomplete]
    page.pull_requests = [pr for pr in page.pull_requests if pr.is_whole]
