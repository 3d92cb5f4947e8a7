"""Newest-first walks over a repository's pull requests, and what is remembered of them.

A walk pages through `pullRequests(orderBy: UPDATED_AT DESC)`. GitHub's cursors are predicates on
(updatedAt, id), so a pull request that changes while it runs moves above it and hides no other;
the next look from the top finds it.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ValidationError

from ingest.github.client import Answer, GitHub, PageSize
from ingest.github.models import Details, PageInfo, PullRequest

logger = logging.getLogger(__name__)

# `updatedAt` has whole seconds and GitHub's replicas lag: read this much again below a watermark.
OVERLAP = timedelta(seconds=60)
PAGE = 50
# The first pages of several repositories at once: 5 x 10 pull requests cost what one page does.
HEADS, HEAD_PAGE = 5, 10
REVIEWS_PER_PAGE, DRAFT_EVENTS_PER_PAGE = 50, 10
DETAILS = 10


class Walk(BaseModel):
    """A walk under way: from the top down to `floor` (null: to the very end).

    `target` is the newest `updatedAt` when it began at `began_at`; `reached` the oldest so far.
    """

    began_at: AwareDatetime
    target: AwareDatetime | None = None
    floor: AwareDatetime | None = None
    cursor: str | None = None
    reached: AwareDatetime | None = None

    def is_below_floor(self) -> bool:
        """Whether the walk has come past its floor."""
        return self.floor is not None and self.reached is not None and self.reached < self.floor


class Progress(BaseModel):
    """What is loaded of one repository; kept in dlt's state.

    Everything that GitHub updated from `covered_from` (null: ever) up to `watermark` is in `raw`;
    `walked_at` is when the walk that set the watermark began. `backfill` is what is left of the
    first walk, `head` a walk towards the watermark that was cut off.
    """

    watermark: AwareDatetime | None = None
    walked_at: AwareDatetime | None = None
    covered_from: AwareDatetime | None = None
    head: Walk | None = None
    backfill: Walk | None = None

    def is_new(self) -> bool:
        """Whether the repository's first walk has not landed a page yet."""
        return self.walked_at is None

    def bounded_by(self, since: AwareDatetime | None) -> "Progress":
        """Return it with the backfill's floor at `since`, unless that is lower already."""
        backfill = self.backfill
        if backfill is None or since is None or (backfill.floor and backfill.floor <= since):
            return self
        return self.model_copy(update={"backfill": backfill.model_copy(update={"floor": since})})

    def is_behind(self, newest: AwareDatetime | None) -> bool:
        """Whether a repository whose newest `updatedAt` this is may hold what is not loaded.

        A change in the very second of the last walk would not show in `updatedAt`, hence `OVERLAP`.
        """
        if newest is None or self.walked_at is None:
            return False
        if self.watermark is None or newest > self.watermark:
            return True
        return newest >= self.walked_at - OVERLAP

    def has_backfill(self) -> bool:
        """Whether there is older history left to read."""
        return self.backfill is not None and not self.backfill.is_below_floor()

    def after_backfill_page(self, walk: Walk, *, is_last: bool) -> "Progress":
        """Return it after a page of the first walk, or of what an interrupted one left."""
        done = is_last or walk.is_below_floor()
        first = {"watermark": walk.target, "walked_at": walk.began_at} if self.is_new() else {}
        update: dict[str, Any] = {
            **first,
            "backfill": None if is_last else walk,
            "covered_from": None if is_last else (walk.floor if done else walk.reached),
        }
        return self.model_copy(update=update)

    def after_head_page(self, walk: Walk, *, is_last: bool) -> "Progress":
        """Return it after a page of a walk down to the watermark; it moves when that is reached."""
        if is_last or walk.is_below_floor():
            return self.model_copy(
                update={"head": None, "watermark": walk.target, "walked_at": walk.began_at}
            )
        return self.model_copy(update={"head": walk})


class RepositoryAway(Exception):
    """A repository that the probe still saw is not there any more, or not for us."""

    def __init__(self, repository_id: str, reason: str) -> None:
        self.repository_id = repository_id
        super().__init__(reason)


@dataclass(frozen=True)
class Rejected:
    """A pull request that cannot be, or that we cannot read, and why."""

    id: str | None
    number: int | None
    reason: str


@dataclass
class Page:
    """Pull requests of one repository, and its progress once they have landed."""

    repository_id: str
    repository: str
    pull_requests: list[PullRequest]
    rejected: list[Rejected]
    progress: Progress
    is_last: bool = False


@dataclass
class Walker:
    """Reads pages; page sizes adapt to what GitHub can do and are shared by all walks."""

    github: GitHub
    size: PageSize = field(default_factory=lambda: PageSize(PAGE))
    head_size: PageSize = field(default_factory=lambda: PageSize(HEAD_PAGE))

    async def backfill(self, repository_id: str, progress: Progress) -> AsyncIterator[Page]:
        """Walk down from the top, or from where the last run stopped, to the floor or the end."""
        if progress.backfill is None:
            return
        async for page in self._walk(repository_id, progress, progress.backfill, head=False):
            yield page

    async def resumed_head(self, repository_id: str, progress: Progress) -> AsyncIterator[Page]:
        """Finish a walk to the watermark that was cut off."""
        if progress.head is None:
            return
        async for page in self._walk(repository_id, progress, progress.head, head=True):
            yield page

    async def heads(self, walks: dict[str, tuple[Progress, Walk]]) -> AsyncIterator[Page]:
        """Walk several repositories (at most `HEADS`) from the top down to their watermarks."""
        answer = await self._ask(list(walks), None, self.head_size)
        for index, repository_id in enumerate(walks):
            progress, walk = walks[repository_id]
            page, after = _read_page(answer, index, repository_id, progress, walk, head=True)
            yield page
            if not page.is_last:
                async for further in self._walk(repository_id, page.progress, after, head=True):
                    yield further

    async def complete(self, pages: Sequence[Page]) -> None:
        """Fetch the reviews and draft events that did not fit into their pages, in place."""
        cut = [pr for page in pages for pr in page.pull_requests if not pr.is_whole]
        for start in range(0, len(cut), DETAILS):
            group = {pr.id: pr for pr in cut[start : start + DETAILS]}
            for details in await self._details(list(group), None):
                group[details.id].reviews = details.reviews
                group[details.id].draft_events = details.draft_events
            for pr in group.values():
                await self._follow(pr)

    async def _walk(
        self, repository_id: str, progress: Progress, walk: Walk, *, head: bool
    ) -> AsyncIterator[Page]:
        while True:
            answer = await self._ask([repository_id], walk.cursor, self.size)
            page, walk = _read_page(answer, 0, repository_id, progress, walk, head=head)
            progress = page.progress
            yield page
            if page.is_last:
                return

    async def _ask(self, ids: list[str], after: str | None, size: PageSize) -> Answer:
        variables = {
            "ids": ids,
            "after": after,
            "reviews": REVIEWS_PER_PAGE,
            "draftEvents": DRAFT_EVENTS_PER_PAGE,
        }
        return await self.github.query("walk", variables, size=size)

    async def _details(
        self, ids: list[str], page: tuple[str | None, str | None] | None
    ) -> list[Details]:
        reviews_after, draft_events_after = page or (None, None)
        answer = await self.github.query(
            "details",
            {
                "ids": ids,
                "reviewsAfter": reviews_after,
                "draftEventsAfter": draft_events_after,
            },
        )
        return [Details.model_validate(node) for node in answer.data["nodes"] if node]

    async def _follow(self, pr: PullRequest) -> None:
        """Page through what is longer than one page of details."""
        while not pr.is_whole:
            reviews, events = pr.reviews, pr.draft_events
            cursors = (reviews.page_info.end_cursor, events.page_info.end_cursor)
            found = await self._details([pr.id], cursors)
            if not found:
                return
            _extend(reviews, found[0].reviews)
            _extend(events, found[0].draft_events)


def _extend(connection: Any, further: Any) -> None:
    if not connection.page_info.has_next_page:
        return
    known = {node.id for node in connection.nodes}
    connection.nodes += [node for node in further.nodes if node.id not in known]
    connection.page_info = further.page_info


def _read_page(
    answer: Answer, index: int, repository_id: str, progress: Progress, walk: Walk, *, head: bool
) -> tuple[Page, Walk]:
    """Read one repository's page of an answer; return it and the walk after it."""
    node = answer.data["nodes"][index]
    if node is None:
        error = answer.error_at("nodes", index) or {}
        raise RepositoryAway(repository_id, str(error.get("message", "GitHub gives null for it")))
    connection = node["pullRequests"]
    info = PageInfo.model_validate(connection["pageInfo"])
    pull_requests, rejected = _read_pull_requests(connection["nodes"])
    oldest = min((pr.updated_at for pr in pull_requests), default=walk.reached)
    walk = walk.model_copy(update={"cursor": info.end_cursor or walk.cursor, "reached": oldest})
    after = progress.after_head_page if head else progress.after_backfill_page
    page = Page(
        repository_id=repository_id,
        repository=node["nameWithOwner"],
        pull_requests=pull_requests,
        rejected=rejected,
        progress=after(walk, is_last=not info.has_next_page),
        is_last=not info.has_next_page or walk.is_below_floor(),
    )
    return page, walk


def _read_pull_requests(nodes: Sequence[Any]) -> tuple[list[PullRequest], list[Rejected]]:
    pull_requests, rejected = [], []
    for node in nodes:
        if node is None:
            continue
        try:
            pull_requests.append(PullRequest.model_validate(node))
        except ValidationError as error:
            faults = [_fault(fault) for fault in error.errors(include_url=False)]
            rejected.append(Rejected(node.get("id"), node.get("number"), "; ".join(faults)))
    return pull_requests, rejected


def _fault(fault: Any) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {message}" if place else message
