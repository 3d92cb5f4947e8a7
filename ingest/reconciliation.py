"""Finds changes that `updatedAt` does not show: silent ones, missing and deleted pull requests."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from dora.database import Database
from dora.roles import INGEST
from ingest.fetch_and_load import FetchAndLoad
from ingest.github.checkpoint import Checkpoint, Counted, Difference, Walk
from ingest.github.client import MOST_UNANSWERED
from ingest.github.discovery import Found, probe
from ingest.github.models import Probed
from ingest.github.pagination import Page

REREAD_EVERY = timedelta(days=7)
# A difference that a walk over everything does not explain is examined again after this time.
BELIEVE_FOR = timedelta(days=30)
AT_ONCE = 50
# Open pull requests, and those that could not be read.
_OPEN = """
    select opened.id, repository_id
    from (
        select id, repository_id
        from raw.pull_requests
        where state = 'OPEN' and vanished_at is null
        union
        select subject_id, repository_id
        from raw.ingest_failures
        where kind = 'pull_request' and resolved_at is null and subject_id is not null
    ) as opened
    inner join raw.repositories on opened.repository_id = repositories.id
    where is_configured and unreachable_since is null and opened.id > %s
    order by 1
"""
# To compare with GitHub's count: our rows, and pull requests that could not be read.
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
        where
            failures.kind = 'pull_request'
            and resolved_at is null
            and subject_id is not null
            and pull_requests.id is null
    ) as held
    where repository_id = any(%s)
    group by 1
"""
_UNSEEN = """
    select id, repository_id
    from raw.pull_requests
    where
        repository_id = %s
        and vanished_at is null
        and _dlt_load_id <= %s
        and updated_at >= coalesce(%s, '-infinity'::timestamptz)
    order by 1
"""
_GONE_SINCE = """
    select id, repository_id
    from raw.pull_requests
    where repository_id = %s and vanished_at >= %s
    limit 1
"""
_LAST_LOAD = "select coalesce(max(load_id), '') from raw._dlt_loads"
_VANISH = """
    update raw.pull_requests
    set vanished_at = %s, change_number = default
    where id = any(%s) and vanished_at is null
    returning id, repository_id
"""


class Reconciliation:
    """Compares `raw` with GitHub and repairs it."""

    def __init__(
        self, stream: FetchAndLoad, database: Database, seen: Mapping[str, Probed]
    ) -> None:
        self.stream = stream
        self.known = stream.known
        self.database = database
        self.seen = seen

    def _is_within_reach(self, repository_id: str) -> bool:
        """Whether this run has seen the repository and not lost it since."""
        return repository_id in self.seen and repository_id not in self.stream.walker.lost

    async def reread_open(self, now: datetime) -> None:
        """Read open pull requests again once in `REREAD_EVERY`; continue where a run stopped."""
        reread = self.known.reread
        if reread.done_at is None:
            self.known.reread = reread.model_copy(update={"done_at": now})
            return
        if now < reread.done_at + REREAD_EVERY:
            return
        rows = [row for row in self._rows(_OPEN, reread.after) if self._is_within_reach(row[1])]
        for start in range(0, len(rows), AT_ONCE):
            chunk = rows[start : start + AT_ONCE]
            await self._read_again(chunk, now)
            reread = reread.model_copy(update={"after": chunk[-1][0]})
            self.known.reread = reread
        self.known.reread = reread.model_copy(update={"after": "", "done_at": now})

    async def retry(self, now: datetime) -> None:
        """Fetch again, one by one, the failures of the last day or of `dora retry`.

        If GitHub leaves many of them unanswered again, the rest waits for the next run.
        """
        sizes = self.stream.walker.github.sizes["pull_requests"]
        for subject_id, repository_id, _ in self.stream.failures.to_retry("pull_request"):
            if sizes.unanswered == MOST_UNANSWERED:
                return
            if self._is_within_reach(repository_id):
                await self._read_again([(subject_id, repository_id)], now)

    async def repair(self, now: datetime) -> None:
        """Walk over every repository whose number of rows differs from GitHub's; mark deleted rows.

        Only if the whole history is loaded. This happens once per difference, or twice if something
        else changed during the walk: a pull request may have been deleted after the walk passed it.
        A difference that remains is taken as GitHub's miscount for `BELIEVE_FOR`.
        """
        self._begin_repairs(now)
        pending = [key for key, p in self.known.progress.items() if p.repair_after is not None]
        for key in pending:
            if not self._is_within_reach(key):
                continue
            progress = self.known.progress[key]
            await self.stream.drain([self.stream.walker.go_on(key, progress, "repair")])
            if self.known.progress[key].repair is not None:
                # GitHub failed to answer or the repository is gone: another run continues.
                continue
            floor = progress.repair.floor if progress.repair else None
            unseen = self._rows(_UNSEEN, key, progress.repair_after, floor)
            is_settled = True
            for start in range(0, len(unseen), AT_ONCE):
                is_settled &= await self._read_again(unseen[start : start + AT_ONCE], now)
            if is_settled:
                await self._end_repair(key, now)

    def refresh(self, keys: Iterable[str]) -> None:
        """Make `repair` walk over the loaded part of these repositories, back to `since` if given.

        An interrupted walk continues.
        """
        for key in keys:
            progress = self.known.progress[key]
            if not progress.is_new() and progress.repair_after is None:
                floors = filter(None, [progress.covered_from, self.stream.config.since])
                self._begin_repair(key, max(floors, default=None))

    def _begin_repairs(self, now: datetime) -> None:
        whole = [key for key in sorted(self.seen) if self._is_within_reach(key)]
        whole = [key for key in whole if self.known.progress[key].is_whole]
        ours = dict(self._rows(_COUNTS, whole)) if whole else {}
        for key in whole:
            probed, progress = self.seen[key], self.known.progress[key]
            difference = int(ours.get(key, 0)) - probed.pull_requests
            if difference == 0:
                self.known.differences.pop(key, None)
                self.stream.failures.resolve_nameless(key, now)
            elif progress.repair_after is None and not self._is_looked_into(key, difference, now):
                self._begin_difference(key, difference, now)
                self._begin_repair(key)

    def _begin_repair(self, key: str, floor: datetime | None = None) -> None:
        probed, progress = self.seen[key], self.known.progress[key]
        last = self._rows(_LAST_LOAD)[0][0]
        update = {
            "repair": Walk(began_at=probed.at, target=probed.newest, floor=floor),
            "repair_after": last,
            "repair_of": _counted(probed),
        }
        self.known.progress[key] = progress.model_copy(update=update)

    def _is_looked_into(self, key: str, difference: int, now: datetime) -> bool:
        known = self.known.differences.get(key)
        if known is None or known.rows != difference or not known.is_settled:
            return False
        return now < known.at + BELIEVE_FOR

    def _begin_difference(self, key: str, difference: int, now: datetime) -> None:
        known = self.known.differences.get(key)
        before = known.walks if known and known.rows == difference else 0
        self.known.differences[key] = Difference(rows=difference, at=now, walks=before + 1)

    async def _end_repair(self, key: str, now: datetime) -> None:
        """Accept a remaining difference from GitHub's count if it is certain."""
        found = Found()
        await probe(self.stream.walker.github, [key], found)
        begun = self.known.differences.get(key)
        if (shown := found.repositories.get(key)) and begun:
            # If GitHub's count changed during the walk, the difference before it counts. It is not
            # certain if the walk found a deletion: another pull request may be gone since then.
            found_gone = self._rows(_GONE_SINCE, key, begun.at)
            is_settled = begun.walks > 1 and not found_gone
            update: dict[str, object] = {"at": now, "is_settled": is_settled}
            if self.known.progress[key].repair_of == _counted(shown):
                ours = dict(self._rows(_COUNTS, [key]))
                rows = int(ours.get(key, 0)) - shown.pull_requests
                update |= {"rows": rows, "is_settled": True}
            self.known.differences[key] = begun.model_copy(update=update)
        ended = {"repair": None, "repair_after": None, "repair_of": None}
        self.known.progress[key] = self.known.progress[key].model_copy(update=ended)

    async def _read_again(self, rows: Sequence[tuple[str, str]], now: datetime) -> bool:
        """Fetch pull requests (id, repository id) by their ids and load them.

        Returns False if GitHub did not tell whether one of them is deleted.
        """
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
        return await self.vanish({key: repository_of[key] for key in fetched.gone}, now)

    async def vanish(self, gone: dict[str, str], now: datetime) -> bool:
        """Mark pull requests (id, repository id) as vanished if GitHub shows their repository.

        If the repository is deleted or the token lost access, GitHub shows no pull request of it,
        and none is marked. Returns False if GitHub did not tell whether it is.
        """
        if not gone:
            return True
        found = Found()
        await probe(self.stream.walker.github, sorted(set(gone.values())), found)
        self.stream.walker.lost.update(found.away)
        vanished = [key for key, repository in gone.items() if repository in found.repositories]
        self._rows(_VANISH, now, vanished)
        self.stream.failures.resolve("pull_request", vanished, now)
        self.stream.failures.resolve("pull_request_files", vanished, now)
        return not found.unclear

    def _progress_of(self, keys: Iterable[str]) -> dict[str, Checkpoint]:
        return {key: self.known.progress[key] for key in keys}

    def _rows(self, query: str, *parameters: object) -> list[tuple[str, str]]:
        with self.database.session(INGEST) as connection:
            qualified = self.database.schemas.qualify(query)
            return connection.execute(qualified, parameters or None).fetchall()


def _counted(probed: Probed) -> Counted:
    return Counted(pull_requests=probed.pull_requests, newest=probed.newest)


def _page(key: str, name: str, progress: Checkpoint) -> Page:
    return Page(key, name, [], [], progress, is_last=True, asked_after=None)
