"""What `updatedAt` does not show: silent changes, pull requests too few or too many."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import psycopg

from dora.database import Database
from dora.errors import UnavailableError
from dora.roles import INGEST
from ingest.github.models import Probed
from ingest.github.pages import Page
from ingest.github.progress import Progress, Walk
from ingest.stream import Stream

REREAD_EVERY = timedelta(days=7)
AT_ONCE = 50
_OPEN = """
    select pull_requests.id, repository_id
    from raw.pull_requests
    inner join raw.repositories on pull_requests.repository_id = repositories.id
    where
        state = 'OPEN'
        and vanished_at is null
        and is_configured
        and unreachable_since is null
        and pull_requests.id > %s
    order by 1
"""
# What GitHub counts: our rows, and those that it has but we could not use.
_COUNTS = """
    select repository_id, count(*)
    from (
        select repository_id
        from raw.pull_requests
        where vanished_at is null
        union all
        select failures.repository_id
        from raw.ingest_failures as failures
        left join raw.pull_requests on failures.subject_id = pull_requests.id
        where failures.kind = 'pull_request' and resolved_at is null and pull_requests.id is null
    ) as held
    where repository_id = any(%s)
    group by 1
"""
_UNSEEN = """
    select id, repository_id
    from raw.pull_requests
    where repository_id = %s and vanished_at is null and _dlt_load_id <= %s
    order by 1
"""
_LAST_LOAD = "select coalesce(max(load_id), '') from raw._dlt_loads"
_VANISH = """
    update raw.pull_requests
    set vanished_at = %s, change_number = default
    where id = any(%s) and vanished_at is null
    returning id, repository_id
"""


class Audit:
    """Compares `raw` with GitHub, and repairs it."""

    def __init__(self, stream: Stream, database: Database) -> None:
        self.stream = stream
        self.known = stream.known
        self.database = database

    async def reread_open(self, now: datetime) -> None:
        """Read open pull requests again, once in `REREAD_EVERY`; go on where a run stopped."""
        reread = self.known.reread
        if reread.done_at is None:
            self.known.reread = reread.model_copy(update={"done_at": now})
            return
        if now < reread.done_at + REREAD_EVERY:
            return
        lost = self.stream.walker.lost
        rows = [row for row in self._rows(_OPEN, reread.after) if row[1] not in lost]
        for start in range(0, len(rows), AT_ONCE):
            chunk = rows[start : start + AT_ONCE]
            await self._read_again(chunk, now)
            reread = reread.model_copy(update={"after": chunk[-1][0]})
            self.known.reread = reread
        self.known.reread = reread.model_copy(update={"after": "", "done_at": now})

    async def retry(self, now: datetime) -> None:
        """Fetch again what `dora retry` asks for, one by one."""
        for row in list(self.stream.failures.to_retry()):
            if row[1] in self.known.progress:
                await self._read_again([row], now)

    async def repair(self, seen: dict[str, Probed], now: datetime) -> None:
        """Walk all of every repository whose rows are not as many as GitHub's, and tombstone.

        Only where the whole history is loaded, and once per distinct difference: one that stays is
        GitHub's own.
        """
        self._begin_repairs(seen)
        pending = [key for key, p in self.known.progress.items() if p.repair_after is not None]
        for key in pending:
            if key not in seen or key in self.stream.walker.lost:
                continue
            progress = self.known.progress[key]
            await self.stream.drain([self.stream.walker.go_on(key, progress, "repair")])
            unseen = self._rows(_UNSEEN, key, progress.repair_after)
            for start in range(0, len(unseen), AT_ONCE):
                await self._read_again(unseen[start : start + AT_ONCE], now)
            self._end_repair(key, seen[key].pull_requests)

    def _begin_repairs(self, seen: dict[str, Probed]) -> None:
        whole = [key for key in sorted(seen) if key not in self.stream.walker.lost]
        whole = [key for key in whole if self.known.progress[key].is_whole]
        ours = dict(self._rows(_COUNTS, whole)) if whole else {}
        for key in whole:
            probed, progress = seen[key], self.known.progress[key]
            difference = int(ours.get(key, 0)) - probed.pull_requests
            if difference == 0:
                self.known.differences.pop(key, None)
            elif self.known.differences.get(key) != difference and progress.repair_after is None:
                last = self._rows(_LAST_LOAD)[0][0]
                walk = Walk(began_at=probed.at, target=probed.newest)
                update = {"repair": walk, "repair_after": last}
                self.known.progress[key] = progress.model_copy(update=update)

    def _end_repair(self, key: str, theirs: int) -> None:
        """Remember what stays different, so that it is not looked into again."""
        ours = dict(self._rows(_COUNTS, [key]))
        difference = int(ours.get(key, 0)) - theirs
        if difference:
            self.known.differences[key] = difference
        update = {"repair": None, "repair_after": None}
        self.known.progress[key] = self.known.progress[key].model_copy(update=update)

    async def _read_again(self, rows: Sequence[tuple[str, str]], now: datetime) -> None:
        repository_of = dict(rows)
        fetched = await self.stream.mender.pull_requests(list(repository_of))
        pages: dict[str, Page] = {}
        for key, progress in self._progress_of(repository_of.values()).items():
            pages[key] = _page(key, self.known.repositories[key].repository, progress)
        for pr in fetched.pull_requests:
            pages[repository_of[pr.id]].pull_requests.append(pr)
        for rejected in fetched.rejected:
            pages[repository_of[str(rejected.id)]].rejected.append(rejected)
        await self.stream.land_also(list(pages.values()))
        if fetched.gone:
            self._rows(_VANISH, now, fetched.gone)

    def _progress_of(self, keys: Iterable[str]) -> dict[str, Progress]:
        return {key: self.known.progress[key] for key in keys}

    def _rows(self, query: str, *parameters: object) -> list[tuple[str, str]]:
        try:
            with self.database.connect(INGEST) as connection:
                return connection.execute(query.encode(), parameters or None).fetchall()
        except psycopg.OperationalError as error:
            raise UnavailableError(f"the database {self.database} went away") from error


def _page(key: str, name: str, progress: Progress) -> Page:
    return Page(key, name, [], [], progress, is_last=True, asked_after=None)
