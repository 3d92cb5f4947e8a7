"""Nothing is passed over: what a page could not hold, or GitHub did not give, is fetched singly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ingest.github.client import GitHub
from ingest.github.models import Details, PullRequest
from ingest.github.pages import Page, Rejected, read_pull_requests
from ingest.github.walk import NESTED

AT_ONCE = 10
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

    async def complete(self, pages: Sequence[Page]) -> None:
        """Fetch what is missing in these pages; what stays unreadable is in their `rejected`."""
        for page in pages:
            if page.nulls or page.suspects:
                await self._fetch_singly(page)
        cut = {pr.id: pr for page in pages for pr in page.pull_requests if not pr.is_whole}
        ids = list(cut)
        for start in range(0, len(ids), AT_ONCE):
            await self._extend({key: cut[key] for key in ids[start : start + AT_ONCE]})
        for page in pages:
            _reject_incomplete(page)

    async def pull_requests(self, ids: Sequence[str]) -> Fetched:
        """Fetch pull requests by node id, each with as much as a page would hold of it."""
        answer = await self.github.query("pull_requests", {"ids": list(ids), **NESTED})
        found, rejected = read_pull_requests(answer.data["nodes"])
        fetched = Fetched(found, rejected, [])
        for position, (key, node) in enumerate(zip(ids, answer.data["nodes"], strict=True)):
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
            page.suspects += await self._behind_nulls(page)
            page.nulls = []
        while page.suspects:
            suspect = page.suspects[0]
            if suspect.id is None:
                page.rejected.append(suspect)
            else:
                fetched = await self.pull_requests([suspect.id])
                page.pull_requests += fetched.pull_requests
                page.rejected += fetched.rejected
            # Only now: a page with suspects left does not land.
            page.suspects.pop(0)

    async def _behind_nulls(self, page: Page) -> list[Rejected]:
        """Ask for the page again, ids alone, down to where it ended: what moved is above it now."""
        variables = {"id": page.repository_id, "first": LONGEST, "after": page.asked_after}
        answer = await self.github.query("ids", variables)
        nodes = ((answer.data["node"] or {}).get("pullRequests") or {}).get("nodes") or []
        ids = [node["id"] if node else None for node in nodes]
        if page.last_id in ids:
            ids = ids[: ids.index(page.last_id) + 1 + page.nulls_at_end]
        known = {suspect.id for suspect in page.suspects} | {pr.id for pr in page.pull_requests}
        return [Rejected(key, None, page.nulls[0]) for key in ids if key not in known]

    async def _extend(self, group: dict[str, PullRequest]) -> None:
        for details in await self._details(list(group), None, None):
            group[details.id].reviews = details.reviews
            group[details.id].draft_events = details.draft_events
        for pr in group.values():
            while not pr.is_whole:
                reviews, events = pr.reviews.page_info, pr.draft_events.page_info
                further = await self._details([pr.id], reviews.end_cursor, events.end_cursor)
                if not further:
                    break
                _append(pr.reviews, further[0].reviews)
                _append(pr.draft_events, further[0].draft_events)

    async def _details(
        self, ids: list[str], reviews_after: str | None, draft_events_after: str | None
    ) -> list[Details]:
        variables = {
            "ids": ids,
            "reviewsAfter": reviews_after,
            "draftEventsAfter": draft_events_after,
        }
        answer = await self.github.query("details", variables)
        found = []
        for node in filter(None, answer.data["nodes"]):
            try:
                found.append(Details.model_validate(node))
            except ValidationError:
                continue
        return found


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
