"""Walks through a repository's lists of deployments, releases and tags, newest first.

If the count and the newest item are the same as before, the list did not change. Otherwise the walk
goes down to the watermark. If GitHub's count then still differs from the number of rows, a walk
over everything finds items in the middle (a published draft, a tag of an old commit) and deleted
ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

from pydantic import ValidationError

from ingest.delivery.by_id import ById, parse
from ingest.delivery.checkpoint import Listing, ListWalk
from ingest.delivery.load_context import LoadContext
from ingest.github.adaptive_page_size import LONGEST
from ingest.github.checkpoint import OVERLAP
from ingest.github.deliveries import Delivered, Kind
from ingest.github.errors import Unanswerable
from ingest.github.models import PageInfo
from ingest.github.newest_deliveries import Listed, Shown, name_newest
from ingest.github.queries import ids_document
from ingest.github.responses import REFUSED, Answer

# One request asks for the first pages of several repositories, with few items each: ten of ten
# deployments with their statuses cost as much as one page of a hundred.
HEADS, HEAD = 10, 10
# Attempts for a page that GitHub returns with a null or an error in it.
TRIES = 3
_COUNTS = """
    select repository_id, count(*)
    from raw.{table}
    where repository_id = any(%s) and vanished_at is null
    group by 1
"""
_UNSEEN = """
    select id
    from raw.{table}
    where
        repository_id = %s
        and vanished_at is null
        and _dlt_load_id <= %s
        and {created_at} >= coalesce(%s, '-infinity'::timestamptz)
    order by 1
"""
# Tags may have no date: their list is always walked to its end.
_CREATED_AT = {"deployments": "created_at", "releases": "created_at", "tags": "now()"}


class PageUnavailable(Exception):
    """GitHub did not return a page: the repository is gone or refused, or the reason is unclear."""

    def __init__(self, reason: str, *, is_refused: bool = False, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.is_refused = is_refused
        self.is_gone = is_gone

    @property
    def is_lasting(self) -> bool:
        """Whether a retry is useless."""
        return self.is_refused or self.is_gone


@dataclass
class _Page:
    """A page of a list; `last_id` is the last item that is not null, `nulls_at_end` follow it.

    `suspects` are the ids of unusable items; an empty text for a null.
    """

    items: list[Delivered]
    suspects: list[str]
    count: int
    info: PageInfo
    newest: str | None
    last_id: str | None
    nulls_at_end: int


class Lister:
    """Reads the lists of one kind."""

    def __init__(self, desk: LoadContext, by_id: ById, listed: Listed, kind: Kind) -> None:
        self.desk = desk
        self.by_id = by_id
        self.listed = listed
        self.kind: Kind = kind
        self._walked: set[str] = set()
        # Loaded for the first time, and those of which GitHub failed to return a page.
        self._fresh: set[str] = set()
        self._cut: set[str] = set()

    async def follow(self, ids: Sequence[str]) -> None:
        """Bring these repositories' lists up to date."""
        for key in ids:
            if reason := self.listed.refused.get((self.kind, key)):
                self.desk.refused(key, self.kind, reason)
            elif reason := self.listed.unclear.get((self.kind, key)):
                self.desk.unclear(key, self.kind, reason)
        seen = [key for key in ids if (self.kind, key) in self.listed.shown]
        for key in seen:
            shown = self.listed.shown[self.kind, key]
            if shown.count == 0 and self._listing(key) == Listing():
                self.desk.then(partial(self._set, key, Listing(shown=shown)))
            walk = self._listing(key).walk
            if walk is not None and not walk.is_read:
                await self._walk(key, walk)
        await self.desk.land()
        behind = [key for key in seen if self._is_behind(key)]
        heads = [key for key in behind if self._listing(key).watermark and self.kind != "tags"]
        for key in behind:
            if key not in heads:
                await self._walk(key, self._begin(key))
        for start in range(0, len(heads), HEADS):
            await self._heads(heads[start : start + HEADS])
        await self.desk.land()
        await self._compare([key for key in seen if self._is_read(key)])
        await self.desk.land()
        for key in seen:
            listing = self._listing(key)
            is_whole = listing.walk is None and listing.shown is not None and listing.is_compared
            if is_whole and key not in self._cut:
                self.desk.covered(key, self.kind, self.listed.at[self.kind, key])
        await self.desk.land()

    def _is_read(self, key: str) -> bool:
        """Whether its walk has reached the end."""
        walk = self._listing(key).walk
        return walk.is_read if walk else not self._listing(key).is_compared

    def _listing(self, key: str) -> Listing:
        return self.desk.delivered(key).lists.get(self.kind, Listing())

    def _set(self, key: str, listing: Listing) -> None:
        self.desk.delivered(key).lists[self.kind] = listing

    def _is_behind(self, key: str) -> bool:
        listing, config = self._listing(key), self.desk.stream.config
        if listing.walk is not None or key in self._cut:
            return False
        return (
            listing.shown != self.listed.shown[self.kind, key]
            or (config.refresh and key not in self._walked)
            or self._is_to_extend(listing)
        )

    def _is_to_extend(self, listing: Listing) -> bool:
        """Whether `--since` asks for more than is loaded."""
        since = self.desk.stream.config.since
        covered = listing.covered_from
        return since is not None and covered is not None and since < covered

    def _begin(self, key: str) -> ListWalk:
        """Return the walk that a list needs: down to the watermark, or over everything."""
        listing, config = self._listing(key), self.desk.stream.config
        since = None if self.kind == "tags" else config.since
        if listing.watermark is None and listing.shown is None:
            return ListWalk(floor=since)
        if config.refresh or self._is_to_extend(listing):
            floors = [each for each in (since, listing.covered_from) if each]
            floor = min(floors) if self._is_to_extend(listing) else max(floors, default=None)
            return ListWalk(floor=floor, after=self.desk.last_load())
        if self.kind == "tags" or listing.watermark is None:
            return ListWalk(after=self.desk.last_load())
        return ListWalk(floor=listing.watermark - OVERLAP)

    async def _heads(self, keys: Sequence[str]) -> None:
        """Walk several lists; their first pages come in one request."""
        walks = {key: self._begin(key) for key in keys}
        first = HEAD if len(keys) > 1 else LONGEST
        try:
            asked = {"ids": list(keys), "first": first, "after": None}
            answer = await self.desk.github.query(self.kind, asked)
        except Unanswerable:
            for key, walk in walks.items():
                await self._walk(key, walk)
            return
        for index, (key, walk) in enumerate(walks.items()):
            try:
                page = self._read(answer, index)
            except PageUnavailable as away:
                self._note_away(key, away)
                continue
            if page.suspects or not await self._take(key, walk, page):
                await self._walk(key, walk if page.suspects else self._after(walk, page))

    async def _walk(self, key: str, walk: ListWalk) -> None:
        """Walk a list to its floor or its end."""
        cursor, in_vain, is_anew = walk.cursor, 0, False
        while True:
            try:
                asked = {"ids": [key], "after": cursor}
                answer = await self.desk.github.query(self.kind, asked)
                page = self._read(answer, 0)
                if page.info.has_next_page and page.info.end_cursor in {None, cursor}:
                    raise PageUnavailable("GitHub says that there is more, but gives no cursor")
            except Unanswerable as error:
                self._note_away(key, PageUnavailable(str(error)))
                return
            except PageUnavailable as away:
                in_vain += 1
                if not away.is_lasting and in_vain < TRIES:
                    continue
                if cursor is not None and not is_anew and not away.is_lasting:
                    # The cursor may be invalid: restart the walk, once.
                    walk = walk.model_copy(update={"cursor": None})
                    cursor, is_anew, in_vain = None, True, 0
                    continue
                self._note_away(key, away)
                return
            in_vain = 0
            try:
                if await self._take(key, walk, page):
                    return
            except (PageUnavailable, Unanswerable) as incomplete:
                # No later page may be loaded: another run tries again.
                self._note_away(key, PageUnavailable(str(incomplete)))
                return
            walk = self._after(walk, page)
            cursor = walk.cursor
            await self.desk.land_if_due()

    def _read(self, answer: Answer, index: int) -> _Page:
        node = answer.data["nodes"][index]
        connection = (node or {}).get("page")
        if not connection or connection["nodes"] is None:
            error = answer.error_about("nodes", index) or {}
            reason = str(error.get("message", "GitHub returned null for it"))
            is_refused = error.get("type") in REFUSED and error.get("path") != ["nodes", index]
            is_gone = not is_refused and error.get("type") in {"NOT_FOUND", *REFUSED}
            raise PageUnavailable(reason, is_refused=is_refused, is_gone=is_gone)
        items, suspects = [], []
        nodes = connection["nodes"]
        path = ("nodes", index, "page", "nodes")
        refusals = [each for i in range(len(nodes)) if (each := answer.refusal_below(*path, i))]
        if len(refusals) * 2 > len(nodes):
            # For a single one, GitHub may have failed; for most, a permission is missing.
            raise PageUnavailable(str(refusals[0].get("message")), is_refused=True)
        for position, found in enumerate(nodes):
            if found is None or answer.error_about(*path, position):
                suspects.append(str((found or {}).get("id") or ""))
                continue
            try:
                items.append(parse(self.kind, found))
            except ValidationError:
                suspects.append(str(found.get("id") or ""))
        given = [node["id"] for node in nodes if node]
        return _Page(
            items=items,
            suspects=suspects,
            count=connection["totalCount"],
            info=PageInfo.model_validate(connection["pageInfo"]),
            newest=name_newest(nodes[:1]),
            last_id=given[-1] if given else None,
            nulls_at_end=sum(1 for _ in takewhile(lambda node: node is None, reversed(nodes))),
        )

    def _after(self, walk: ListWalk, page: _Page) -> ListWalk:
        """Return the walk after a page."""
        update: dict[str, Any] = {"cursor": page.info.end_cursor or walk.cursor}
        if walk.cursor is None:
            dates = [item.listed_at for item in page.items if item.listed_at]
            update |= {
                "shown": Shown(count=page.count, newest=page.newest),
                "target": max(dates, default=None),
            }
        return walk.model_copy(update=update)

    async def _take(self, key: str, walk: ListWalk, page: _Page) -> bool:
        """Add a page to the rows to load; return whether the walk is over.

        Raises `PageUnavailable` if GitHub returned nulls whose ids it does not tell.
        """
        after = self._after(walk, page)
        if page.suspects:
            ids = [each for each in page.suspects if each]
            ids += await self._behind_nulls(key, walk, page)
            if len(ids) < len(page.suspects):
                raise PageUnavailable("a page could not be completed: GitHub returned null")
            await self.by_id.fetch({each: (self.kind, key) for each in ids})
        await self.by_id.put(self.kind, key, page.items)
        oldest = min((item.listed_at for item in page.items if item.listed_at), default=None)
        is_below = after.floor is not None and oldest is not None and oldest < after.floor
        is_done = is_below or not page.info.has_next_page
        if is_done:
            self._walked.add(key)
        self.desk.then(lambda: self._advance(key, after, is_done=is_done))
        return is_done

    async def _behind_nulls(self, key: str, walk: ListWalk, page: _Page) -> list[str]:
        """Request only the ids on a page; return the ids of its nulls."""
        if "" not in page.suspects:
            return []
        answer = await self.desk.github.query(
            "delivery_ids",
            {"ids": [key], "after": walk.cursor},
            lambda asked: (ids_document(self.kind), asked),
        )
        connection = (answer.data["nodes"][0] or {}).get("page") or {}
        known = {item.id for item in page.items} | set(page.suspects)
        ids = [node["id"] if node else "" for node in connection.get("nodes") or ()]
        if page.last_id is not None:
            # Newer items are above: the page still ends at the same item.
            if page.last_id not in ids:
                return []
            ids = ids[: ids.index(page.last_id) + 1 + page.nulls_at_end]
        return [each for each in ids if each and each not in known]

    def _advance(self, key: str, walk: ListWalk, *, is_done: bool) -> None:
        listing = self._listing(key)
        update: dict[str, Any] = {"walk": walk}
        if is_done:
            is_first = listing.shown is None
            update = {
                # Kept until deleted items have been looked for.
                "walk": walk.model_copy(update={"is_read": True}) if walk.after else None,
                "is_compared": False,
                "shown": walk.shown,
                "watermark": max(filter(None, [walk.target, listing.watermark]), default=None),
            }
            if is_first or walk.after:
                update["covered_from"] = walk.floor
            if is_first:
                self._fresh.add(key)
        self.desk.delivered(key).lists[self.kind] = listing.model_copy(update=update)

    async def _compare(self, keys: Sequence[str]) -> None:
        """Compare the rows with GitHub's count; look for deleted items and new ones between."""
        if not keys:
            return
        differences = self._differences(keys)
        for key in keys:
            listing = self._listing(key)
            is_unexplained = key not in self._fresh and differences[key] != listing.difference
            if listing.walk is None and is_unexplained:
                walk = ListWalk(floor=listing.covered_from, after=self.desk.last_load())
                await self._walk(key, walk)
                await self.desk.land()
            if (walk_over := self._listing(key).walk) is not None:
                if not walk_over.is_read:
                    continue
                created_at = _CREATED_AT[self.kind]
                query = _UNSEEN.format(table=self.kind, created_at=created_at)
                unseen = self.desk.select(query, key, walk_over.after, walk_over.floor)
                ids = [row[0] for row in unseen]
                if not await self.by_id.fetch({each: (self.kind, key) for each in ids}):
                    self._cut.add(key)
                await self.desk.land()
        for key, difference in self._differences(keys).items():
            listing = self._listing(key)
            if key not in self._cut and (listing.walk is None or listing.walk.is_read):
                update = {"difference": difference, "is_compared": True, "walk": None}
                settled = listing.model_copy(update=update)
                self.desk.then(partial(self._set, key, settled))

    def _differences(self, keys: Sequence[str]) -> dict[str, int]:
        ours = dict(self.desk.select(_COUNTS.format(table=self.kind), list(keys)))
        shown = {key: self._listing(key).shown for key in keys}
        return {key: (each.count if each else 0) - ours.get(key, 0) for key, each in shown.items()}

    def _note_away(self, key: str, away: PageUnavailable) -> None:
        self._cut.add(key)
        if away.is_refused:
            self.desk.refused(key, self.kind, str(away))
        elif not away.is_gone:
            self.desk.unclear(key, self.kind, str(away))
