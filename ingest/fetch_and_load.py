"""Runs walks and loads their pages: the next pages are read while dlt loads earlier ones."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Self

from dora.errors import ConfigurationError
from ingest.clock import Clock
from ingest.config import Config
from ingest.failures import Failures
from ingest.github.client import IN_FLIGHT
from ingest.github.models import Row
from ingest.github.pagination import Page, Walker
from ingest.github.refetch import Refetcher
from ingest.github.source import Batch
from ingest.loader import Loader
from ingest.reporting import Reporter
from ingest.repositories_to_sync import Known
from ingest.run_result import RunResult

# Pages are loaded after this many pull requests or seconds.
LAND_AFTER, LAND_EVERY = 1000, 60.0
# Pages read ahead of the loading; limits the memory.
AHEAD = 8


class FetchAndLoad:
    """Runs a few walks at a time and loads their pages."""

    def __init__(
        self,
        config: Config,
        known: Known,
        walker: Walker,
        landing: Loader,
        failures: Failures,
        result: RunResult,
        reporter: Reporter,
    ) -> None:
        self.config = config
        self.known = known
        self.walker = walker
        self.landing = landing
        self.result = result
        self.reporter = reporter
        self.failures = failures
        self.has_landed = False
        self._pages: list[Page] = []
        # Repositories with a page that could not be completed: no later page may be loaded.
        self._cut: set[str] = set()
        self._logins: set[tuple[str, str, str]] = set()
        self._landed_at = self._clock.now()
        self.mender = Refetcher(walker.github)
        self._is_broken = False
        # dlt runs in a separate thread, so that reading continues while it loads.
        self._dlt = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dlt")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._dlt.shutdown()

    @property
    def _clock(self) -> Clock:
        return self.walker.github.clock

    async def drain(self, walks: Iterable[AsyncIterator[Page]]) -> None:
        """Run the walks to their end and load every page; if stopped, load the whole pages."""
        pages: asyncio.Queue[Page | None] = asyncio.Queue(maxsize=AHEAD)
        producer = asyncio.create_task(self._produce(deque(walks), pages))
        try:
            while True:
                try:
                    page = await asyncio.wait_for(pages.get(), LAND_EVERY)
                except TimeoutError:
                    # The walks wait for GitHub; load the pages that have been read.
                    await self.land()
                    continue
                if page is None:
                    break
                self._pages.append(page)
                if self._is_landing_due():
                    await self.land()
            await producer
        except ConfigurationError:
            if not self.has_landed:
                # GitHub refuses the token: load nothing, not even the pages that it could read.
                self._pages = []
            raise
        finally:
            producer.cancel()
            await self.land()

    async def land(self, *, runs: Sequence[Row] = ()) -> None:
        """Complete and load the pages; those that cannot be completed wait for another run."""
        if self._is_broken:
            return
        try:
            await self.mender.complete(self._pages)
        finally:
            pages, self._pages = self._whole_pages(), []
            if pages or runs:
                await self._load(self._batch(pages, runs))

    async def land_also(self, pages: Sequence[Page]) -> None:
        """Load additional pages that do not come from a walk."""
        self._pages += pages
        await self.land()

    async def land_rows(self, batch: Batch) -> None:
        """Load rows other than pull requests, with the current progress."""
        if self._is_broken:
            return
        has_new_config = self._has_new_config()
        await self._load(
            replace(
                batch,
                repositories=self.known.changed_rows(),
                ingest_failures=self.failures.take_waiting(),
                teams=[team.row() for team in self.config.teams] if has_new_config else None,
                settings=self.config.settings_rows() if has_new_config else None,
                state=self.known.state(),
            )
        )

    async def _load(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        # The progress already includes this batch: if loading it fails, nothing else may be loaded.
        self._is_broken = True
        began = time.perf_counter()
        is_last = bool(batch.ingest_runs)
        await loop.run_in_executor(self._dlt, lambda: self.landing.land(batch, is_last=is_last))
        self.result.database_seconds += time.perf_counter() - began
        self._is_broken = False
        self.has_landed = True
        self.result.count(batch.pull_requests, batch.ingest_failures)
        self.known.landed = dict(self.known.repositories)
        self._landed_at = self._clock.now()
        self.reporter.landed(len(batch.pull_requests))

    async def _produce(
        self, walks: deque[AsyncIterator[Page]], pages: asyncio.Queue[Page | None]
    ) -> None:
        async def stream() -> None:
            while walks:
                async for page in walks.popleft():
                    await pages.put(page)

        streams = [asyncio.create_task(stream()) for _ in range(IN_FLIGHT)]
        is_read = True
        try:
            await asyncio.gather(*streams)
        except asyncio.CancelledError:
            is_read = False
            raise
        finally:
            for task in streams:
                task.cancel()
            # If nobody reads the queue any more, `put` into a full queue would wait forever.
            if is_read:
                await pages.put(None)

    def _whole_pages(self) -> list[Page]:
        """Return the pages before the first incomplete one of each repository."""
        whole = []
        for page in self._pages:
            if not page.is_whole:
                self._cut.add(page.repository_id)
                why = f": {page.nulls[0]}" if page.nulls else ""
                reason = f"a page could not be completed{why}"
                self.walker.unclear.setdefault(page.repository_id, reason)
            if page.repository_id not in self._cut:
                whole.append(page)
        return whole

    def _is_landing_due(self) -> bool:
        waiting = sum(len(page.pull_requests) for page in self._pages)
        since = (self._clock.now() - self._landed_at).total_seconds()
        return waiting >= LAND_AFTER or since >= LAND_EVERY

    def _batch(self, pages: Sequence[Page], runs: Sequence[Row]) -> Batch:
        rows: dict[str, Row] = {}
        logins: set[tuple[str, str, str]] = set()
        for page in pages:
            for pr in page.pull_requests:
                rows[pr.id] = pr.row(page.repository_id, page.repository)
                logins |= pr.logins()
            self._note_rejected(page)
            self.known.advanced(page.repository_id, page.progress)
        self.failures.resolve("pull_request", rows, self._clock.now())
        failures = self.failures.take_waiting()
        new_logins = sorted(logins - self._logins)
        seen_at = self._clock.now()
        self._logins |= logins
        has_new_config = self._has_new_config()
        return Batch(
            pull_requests=list(rows.values()),
            user_logins=[
                {"user_id": key, "login": login, "account_type": account_type, "seen_at": seen_at}
                for key, login, account_type in new_logins
            ],
            repositories=self.known.changed_rows(),
            ingest_runs=list(runs),
            ingest_failures=failures,
            teams=[team.row() for team in self.config.teams] if has_new_config else None,
            settings=self.config.settings_rows() if has_new_config else None,
            state=self.known.state(),
        )

    def _note_rejected(self, page: Page) -> None:
        at = self._clock.now()
        for rejected in page.rejected:
            self.failures.add(
                "pull_request",
                rejected.id or f"{page.repository_id} after {page.asked_after}",
                page.repository,
                rejected.reason,
                at,
                repository_id=page.repository_id,
                subject_id=rejected.id,
                number=rejected.number,
            )

    def _has_new_config(self) -> bool:
        """Whether the teams or the settings of the marts have changed since they were loaded."""
        before, self.known.teams_hash = self.known.teams_hash, self.config.teams_hash
        return before != self.known.teams_hash
