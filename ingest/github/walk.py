"""Newest-first walks over a repository's pull requests.

A walk pages through `pullRequests(orderBy: UPDATED_AT DESC)`. GitHub's cursors are predicates on
(updatedAt, id), so a pull request that changes while it runs moves above it and hides no other;
the next look from the top finds it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ingest.github.client import GitHub
from ingest.github.errors import Unanswerable
from ingest.github.pages import Kind, Page, PageUnclear, RepositoryAway, read_page
from ingest.github.progress import Progress, Walk
from ingest.github.queries import document

# The first pages of so many repositories are asked for at once.
HEADS = 5
# How often a page is asked for that GitHub gives as null.
TRIES = 3


@dataclass
class Walker:
    """Reads pages.

    `lost` are the repositories that went out of reach since they were probed, and why; `unclear`
    those of which GitHub failed to give a page, which says nothing of them.
    """

    github: GitHub
    lost: dict[str, str] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)

    async def go_on(
        self, repository_id: str, progress: Progress, kind: Kind
    ) -> AsyncIterator[Page]:
        """Walk on from where the progress says that this kind of walk stands, to its end."""
        walk: Walk | None = getattr(progress, kind)
        if walk is not None:
            async for page in self._walk(repository_id, progress, walk, kind):
                yield page

    async def heads(self, walks: dict[str, tuple[Progress, Walk]]) -> AsyncIterator[Page]:
        """Walk several repositories (at most `HEADS`) from the top down to their watermarks."""
        try:
            answer = await self.github.query(
                "heads",
                {"ids": list(walks), "after": None},
                lambda asked: (document("walk"), asked),
            )
        except Unanswerable:
            for repository_id, (progress, walk) in walks.items():
                async for page in self._walk(repository_id, progress, walk, "head"):
                    yield page
            return
        for index, (repository_id, (progress, walk)) in enumerate(walks.items()):
            try:
                page, after = read_page(answer, index, repository_id, progress, walk, "head")
                is_clear = not page.is_short
            except RepositoryAway as error:
                self.lost[repository_id] = str(error)
                continue
            except PageUnclear:
                is_clear = False
            if not is_clear:
                # By itself, from the top.
                async for again in self._walk(repository_id, progress, walk, "head"):
                    yield again
                continue
            yield page
            if not page.is_last:
                async for further in self._walk(repository_id, page.progress, after, "head"):
                    yield further

    async def _walk(
        self, repository_id: str, progress: Progress, walk: Walk, kind: Kind
    ) -> AsyncIterator[Page]:
        in_vain, is_anew = 0, False
        # A page that cannot be completed ends the walk in this run: nothing behind it may land.
        while repository_id not in self.unclear:
            try:
                asked = {"ids": [repository_id], "after": walk.cursor}
                answer = await self.github.query("walk", asked)
            except Unanswerable:
                # The one that GitHub stumbles over, by its id alone: it is then asked for singly.
                alone = {"ids": [repository_id], "first": 1, "after": walk.cursor}
                answer = await self.github.query("ids", alone)
            try:
                page, after = read_page(answer, 0, repository_id, progress, walk, kind)
            except RepositoryAway as error:
                self.lost[repository_id] = str(error)
                return
            except PageUnclear as error:
                # It may be too much for GitHub, which does not always say so.
                sizes = self.github.sizes["walk"]
                sizes.refuse(sizes.fitted({}))
                in_vain += 1
                if in_vain < TRIES:
                    continue
                if walk.cursor is None or is_anew:
                    self.unclear[repository_id] = str(error)
                    return
                # It may be the cursor: the walk begins again, once.
                walk, is_anew, in_vain = walk.model_copy(update={"cursor": None}), True, 0
                continue
            in_vain += page.is_short
            if page.is_short and in_vain < TRIES:
                continue
            # Where it stays so, what is missing is GitHub's own.
            in_vain, walk, progress = 0, after, page.progress
            yield page
            if page.is_last:
                return
