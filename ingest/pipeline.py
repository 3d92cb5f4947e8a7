"""One ingest run: plan, walk, load, check again, record.

A run ends cleanly even if GitHub fails: it loads the finished pages with the state from which the
next run continues, and adds a row with the result to `raw.ingest_runs`.
"""

import asyncio
import logging
import uuid
from collections.abc import Iterable
from pathlib import Path

from psycopg.rows import dict_row

from dora.database import Database, initialise
from dora.errors import ConfigurationError, DoraError
from dora.roles import INGEST
from ingest.clock import Budget, Clock, SystemClock
from ingest.config import Config
from ingest.dead_letters import tell_queue
from ingest.delivery.loader import Deliveries
from ingest.failures import Failures
from ingest.fetch_and_load import FetchAndLoad
from ingest.github.checkpoint import OVERLAP, Checkpoint, Walk
from ingest.github.client import GitHub
from ingest.github.discovery import Found, probe
from ingest.github.models import Probed
from ingest.github.pagination import HEADS, Walker
from ingest.loader import Loader
from ingest.lock import Lock
from ingest.reconciliation import Reconciliation
from ingest.reporting import LogReporter, Reporter
from ingest.repositories_to_sync import Known, discover
from ingest.run_result import RunResult

logger = logging.getLogger(__name__)

# How often a run checks again for changes during its walks.
ROUNDS = 3
_REPOSITORIES = """
    select id, repository, is_archived, default_branch, is_configured, pull_requests,
        covered_from, covered_to, unreachable_since, unreachable_reason
    from raw.repositories
"""


def run(
    config: Config,
    database: Database,
    home: Path,
    reporter: Reporter | None = None,
    *,
    clock: Clock | None = None,
    seconds: float | None = None,
    run_id: str | None = None,
) -> RunResult | None:
    """Ingest once, within `seconds` if given; return None if another run is in progress.

    dlt works in a folder below `home`. Raises `ConfigurationError` if GitHub refuses the token;
    nothing has been loaded then.
    """
    with Lock(database) as lock:
        if not lock.is_held:
            return None
        if notes := initialise(database):
            database.expect_no_roles()
            for note in notes:
                logger.warning("%s", note)
        landing = Loader(database, home, lock)
        clock = clock or SystemClock()
        result = RunResult(run_id or uuid.uuid4().hex, started_at=clock.now())
        budget = Budget(clock, seconds)
        github = GitHub(
            config.url,
            config.auth,
            clock,
            budget,
            result.usage,
            reserve=config.reserve,
            verify=config.verify,
            proxy=config.proxy,
        )
        try:
            return _run(config, database, landing, github, result, reporter or LogReporter())
        finally:
            landing.close()


def make_tables(database: Database, home: Path) -> None:
    """Create missing tables of `raw`, so that dbt can build without any data."""
    with Lock(database) as lock:
        if lock.is_held:
            landing = Loader(database, home, lock)
            landing.open()
            landing.close()


def _run(
    config: Config,
    database: Database,
    landing: Loader,
    github: GitHub,
    result: RunResult,
    reporter: Reporter,
) -> RunResult:
    state = landing.open()
    with database.session(INGEST) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        rows = cursor.execute(database.schemas.qualify(_REPOSITORIES)).fetchall()
        failures = Failures.read(connection, database.schemas, result.run_id)
    known = Known.from_state(state, rows)
    stream = FetchAndLoad(config, known, Walker(github), landing, failures, result, reporter)
    return asyncio.run(_Run(stream, database).run())


class _Run:
    """One run in progress."""

    def __init__(self, stream: FetchAndLoad, database: Database) -> None:
        self.stream = stream
        self.seen: dict[str, Probed] = {}
        self.audit = Reconciliation(stream, database, self.seen)
        self.deliveries = Deliveries(stream, database, self.seen)
        self.config = stream.config
        self.known = stream.known
        self.result = stream.result
        self.walker = stream.walker
        self.github = stream.walker.github

    async def run(self) -> RunResult:
        """Run all steps; if stopped or failed, load the finished pages."""
        result = self.result
        async with self.github, self.stream:
            try:
                await self._follow()
            except DoraError as error:
                if isinstance(error, ConfigurationError) and not self.stream.has_landed:
                    raise
                result.stopped(error)
            except asyncio.CancelledError:
                result.interrupted()
                await self._finish()
                raise
            await self._finish()
        return result

    async def _finish(self) -> None:
        """Load the remaining pages and the row of the run; send the failures to the queue."""
        result = self.result
        self._note_lost()
        result.finished_at = self.github.clock.now()
        result.as_of = self.known.as_of()
        await self.stream.land(runs=[result.row()])
        if self.config.queue_url:
            tell_queue(self.audit.database, self.config.queue_url, result.finished_at)

    async def _follow(self) -> None:
        self.deliveries.want_known()
        found = await discover(self.github, self.config, self.known, self.deliveries.listed)
        self._note(found)
        self.deliveries.want_seen()
        self._forget_faults(found)
        ids = list(found.repositories)
        if self.config.refresh:
            self.audit.refresh(ids)
        fresh = self._begin_backfills(found)
        behind = [key for key in ids if self._is_behind(key, found)]
        unread = [key for key in ids if self.known.progress[key].has_backfill()]
        self.result.repositories = len(ids)
        self.stream.reporter.planned(
            len(ids),
            len({*behind, *unread}),
            sum(
                found.repositories[key].pull_requests
                for key in (ids if self.config.refresh else fresh)
            ),
        )
        await self._catch_up(behind, found)
        await self.stream.drain(
            self.walker.go_on(key, self.known.progress[key], "backfill") for key in unread
        )
        await self._look_again({*behind, *unread})
        now = self.github.clock.now()
        await self.audit.repair(now)
        await self.audit.retry(now)
        await self.audit.reread_open(now)
        gone = await self.deliveries.load()
        await self.audit.vanish(gone, now)

    async def _look_again(self, walked: set[str]) -> None:
        """Walk again over repositories that changed during their walk."""
        for _ in range(ROUNDS):
            found = Found(listed=self.deliveries.listed)
            out = {*self.walker.lost, *self.walker.unclear}
            await probe(self.github, sorted(walked - out), found)
            self._note(found)
            walked = {key for key in found.repositories if self._has_newer(key, found)}
            if not walked:
                return
            await self._catch_up(walked, found)

    def _has_newer(self, key: str, found: Found) -> bool:
        newest, watermark = found.repositories[key].newest, self.known.progress[key].watermark
        return newest is not None and (watermark is None or newest > watermark)

    def _is_behind(self, key: str, found: Found) -> bool:
        progress, probed = self.known.progress[key], found.repositories[key]
        is_unclear = probed.is_unclear and not progress.is_new()
        return is_unclear or progress.head is not None or progress.is_behind(probed.newest)

    def _begin_backfills(self, found: Found) -> list[str]:
        """Prepare the first walk of every new repository; return those that are not empty."""
        fresh = []
        for key, probed in found.repositories.items():
            progress = self.known.progress[key]
            if progress.is_new() and probed.pull_requests == 0:
                self.known.progress[key] = progress.model_copy(update={"walked_at": probed.at})
                self.known.saw(probed)
                continue
            if progress.is_new():
                fresh.append(key)
                walk = Walk(began_at=probed.at, target=probed.newest)
                progress = progress.model_copy(update={"backfill": walk})
            self.known.advanced(key, progress.bounded_by(self.config.since))
        return fresh

    async def _catch_up(self, behind: Iterable[str], found: Found) -> None:
        """Walk down to the watermarks: first finish interrupted walks, then read the changes."""
        keys = list(behind)
        cut = [key for key in keys if self.known.progress[key].head is not None]
        await self.stream.drain(
            self.walker.go_on(key, self.known.progress[key], "head") for key in cut
        )
        keys = [key for key in keys if self._is_behind(key, found)]
        groups = [keys[start : start + HEADS] for start in range(0, len(keys), HEADS)]
        await self.stream.drain(
            self.walker.heads({key: self._head(key, found) for key in group}) for group in groups
        )

    def _head(self, key: str, found: Found) -> tuple[Checkpoint, Walk]:
        progress, probed = self.known.progress[key], found.repositories[key]
        floor = progress.watermark - OVERLAP if progress.watermark else None
        target = probed.newest or progress.watermark
        return progress, Walk(began_at=probed.at, target=target, floor=floor)

    def _note(self, found: Found) -> None:
        """Record the repositories that GitHub shows and those that it does not."""
        self.seen.update(found.repositories)
        self.result.messages += found.notes
        for probed in found.repositories.values():
            row = self.known.repositories.get(probed.id)
            if probed.is_archived and row and row.is_archived is False:
                self.result.messages.append(f"{probed.repository} has been archived")
            self.known.saw(probed)
        for name, reason in found.unclear.items():
            self.result.unclear(name, reason)
        self.walker.lost.update(found.away)

    def _forget_faults(self, found: Found) -> None:
        """Resolve failures of repositories that are reachable again or no longer configured."""
        if self.config.only or found.unclear:
            return
        away = {name.casefold() for name in found.away}
        known = self.known
        known.unresolved = {name: at for name, at in known.unresolved.items() if name in away}
        failures = self.stream.failures
        gone = [name for name in failures.subjects("repository") if name.casefold() not in away]
        failures.resolve("repository", gone, self.github.clock.now())

    def _note_lost(self) -> None:
        """Report unreachable repositories; record a failure for those never seen."""
        at = self.github.clock.now()
        for key, reason in sorted(self.walker.unclear.items()):
            self.result.unclear(self.known.repositories[key].repository, reason)
        for key, reason in sorted(self.walker.lost.items()):
            if row := self.known.repositories.get(key):
                self.result.lost(row.repository, reason, is_new=self.known.lost(key, reason, at))
                continue
            is_new = key.casefold() not in self.known.unresolved
            self.known.unresolved.setdefault(key.casefold(), at.isoformat())
            self.result.lost(key, reason, is_new=is_new)
            self.stream.failures.add("repository", key, key, reason, at)
