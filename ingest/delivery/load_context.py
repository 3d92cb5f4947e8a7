"""Shared by the loaders of deliveries: rows to load, coverage, SQL."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.rows import RowFactory, dict_row, tuple_row

from dora.database import Database, error_of
from dora.roles import INGEST
from ingest.delivery.checkpoint import DeliveryCheckpoint
from ingest.failures import Kind as Failing
from ingest.fetch_and_load import FetchAndLoad
from ingest.github.client import GitHub
from ingest.github.models import Row
from ingest.github.source import Batch

_Row = TypeVar("_Row")
# Rows are loaded after this many have been read.
LAND_AFTER = 2000
_COVERAGE = """
    select repository_id, kind, covered_to, unreadable_since, unreadable_reason
    from raw.delivery_coverage
"""
_LAST_LOAD = "select coalesce(max(load_id), '') from raw._dlt_loads"


class LoadContext:
    """Collects rows and loads them together with their progress."""

    def __init__(self, stream: FetchAndLoad, database: Database) -> None:
        self.stream = stream
        self.database = database
        self.known = stream.known
        self.failures = stream.failures
        self.result = stream.result
        self._rows: dict[str, dict[tuple[Any, ...], Row]] = defaultdict(dict)
        self._advances: list[Callable[[], None]] = []
        self._refusals: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._unclear: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._connection: psycopg.Connection[Any] | None = None
        self._coverage: dict[tuple[str, str], Row] = {
            (row["repository_id"], row["kind"]): row for row in self.select_rows(_COVERAGE)
        }
        self._changed: set[tuple[str, str]] = set()

    @property
    def github(self) -> GitHub:
        """The connection to GitHub."""
        return self.stream.walker.github

    @property
    def now(self) -> datetime:
        """The current instant, by our clock."""
        return self.github.clock.now()

    def name(self, repository_id: str) -> str:
        """Return a repository's `owner/name`."""
        row = self.known.repositories.get(repository_id)
        return row.repository if row else repository_id

    def delivered(self, repository_id: str) -> DeliveryCheckpoint:
        """Return a repository's checkpoint."""
        return self.known.deliveries.setdefault(repository_id, DeliveryCheckpoint())

    def need_commits(self, repository_id: str) -> None:
        """Mark a repository's commit graph as due, in this run or the next, after the rows."""
        delivered = self.delivered(repository_id)
        if not delivered.is_due:
            self.then(partial(setattr, delivered, "is_due", True))

    def put(self, table: str, key: str, rows: Iterable[Row]) -> None:
        """Add rows to load; `key` has their key columns, separated by commas."""
        names = key.split(",")
        for row in rows:
            self._rows[table][tuple(row[name] for name in names)] = row

    def then(self, advance: Callable[[], None]) -> None:
        """Call `advance`, which updates progress, when the rows added so far are loaded."""
        self._advances.append(advance)

    async def land_if_due(self) -> None:
        """Load the waiting rows if there are at least `LAND_AFTER`."""
        if sum(map(len, self._rows.values())) >= LAND_AFTER:
            await self.land()

    async def land(self) -> None:
        """Load the waiting rows and their progress."""
        if not self._rows and not self._advances and not self._changed:
            return
        rows, self._rows = self._rows, defaultdict(dict)
        advances, self._advances = self._advances, []
        changed, self._changed = self._changed, set()
        for advance in advances:
            advance()
        batch = Batch(delivery_coverage=[self._coverage[key] for key in sorted(changed)])
        for table, held in rows.items():
            setattr(batch, table, list(held.values()))
        await self.stream.land_rows(batch)

    def covered(self, repository_id: str, kind: str, at: datetime) -> None:
        """Record that everything that GitHub had at an instant is loaded."""
        before = self._coverage.get((repository_id, kind))
        covered_to = max(filter(None, [at, before and before["covered_to"]]))
        self._note(repository_id, kind, covered_to, None, None)

    def refused(self, repository_id: str, kind: str, reason: str) -> None:
        """Record a list that the token may not read; one message covers all repositories."""
        before = self._coverage.get((repository_id, kind), {})
        since = before.get("unreadable_since") or self.now
        self._note(repository_id, kind, before.get("covered_to"), since, reason)
        self._refusals[kind, reason].add(self.name(repository_id))

    def unclear(self, repository_id: str, kind: str, reason: str) -> None:
        """Record a list that GitHub failed to return in this run."""
        self._unclear[kind, reason].add(self.name(repository_id))

    def _note(
        self,
        repository_id: str,
        kind: str,
        covered_to: datetime | None,
        since: datetime | None,
        reason: str | None,
    ) -> None:
        row = {
            "repository_id": repository_id,
            "kind": kind,
            "covered_to": covered_to,
            "unreadable_since": since,
            "unreadable_reason": reason,
        }
        key = (repository_id, kind)
        if self._coverage.get(key) != row:
            self._coverage[key] = row
            self._changed.add(key)

    def tell(self, permissions: dict[str, str]) -> None:
        """Report what could not be read; the run then ends with exit code 1."""
        for (kind, reason), names in sorted(self._refusals.items()):
            what = kind.replace("_", " ")
            permission = permissions[kind]
            self.result.incomplete(
                f"the {what} of {_named(names)} are not measured: GitHub does not let the token "
                f"read them ({reason}); it needs the repository permission {permission}"
            )
        for (kind, reason), names in sorted(self._unclear.items()):
            what = kind.replace("_", " ")
            self.result.incomplete(
                f"the {what} of {_named(names)} could not be read in this run: {reason}"
            )

    def fail(self, kind: Failing, subject_id: str, repository_id: str, reason: str) -> None:
        """Record that one object could not be read."""
        self.failures.add(
            kind,
            subject_id,
            self.name(repository_id),
            reason,
            self.now,
            repository_id=repository_id,
            subject_id=subject_id,
        )

    def select(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""
        return self._fetch(query, parameters or None, tuple_row)

    def select_named(self, query: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
        """Run a query with named parameters; return its rows."""
        return self._fetch(query, values, tuple_row)

    def select_rows(self, query: str, *parameters: object) -> list[Row]:
        """Run a query; return its rows by column."""
        return self._fetch(query, parameters or None, dict_row)

    def _fetch(
        self,
        query: str,
        parameters: Sequence[object] | dict[str, object] | None,
        row_factory: RowFactory[_Row],
    ) -> list[_Row]:
        """Run a statement on the shared connection; once more if the server closed it."""
        qualified = self.database.schemas.qualify(query)
        for is_last in (False, True):
            if self._connection is None or self._connection.closed:
                self._connection = self.database.connect(INGEST, autocommit=True)
            cursor = self._connection.cursor(row_factory=row_factory)
            try:
                return cursor.execute(qualified, parameters).fetchall()
            except psycopg.Error as error:
                if is_last or not self._connection.closed:
                    raise error_of(error, f"the database {self.database}") from error
        raise AssertionError

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def last_load(self) -> str:
        """Return dlt's id of the last load."""
        return str(self.select(_LAST_LOAD)[0][0])


def _named(names: set[str]) -> str:
    if len(names) == 1:
        return next(iter(names))
    return f"{len(names)} repositories, such as {min(names)},"
