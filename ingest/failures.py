"""Objects that could not be ingested: the open rows of `raw.ingest_failures`.

A failure is open until the object has been loaded. If the object fails again, its row counts one
more attempt. Every run retries a failed pull request until a day after the first failure or after
`dora retry`; from then on it is read once a week, together with the open pull requests.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import dict_row

from dora.schemas import Schemas
from ingest.github.models import Row

RETRY_FOR = timedelta(days=1)
Kind = Literal[
    "pull_request",
    "repository",
    "deployment",
    "release",
    "tag",
    "incident",
    "workflow_run",
    "pull_request_files",
]
OPEN = """
    select id, run_id, kind, repository_id, repository, subject_id, number, reason, attempts,
        failed_at, queued_at, retry_at, resolved_at
    from raw.ingest_failures
    where resolved_at is null
"""


def failure_id(kind: Kind, subject: str) -> str:
    """Return the id of a failure: a hash of the kind and the object's node id or name."""
    return hashlib.sha256(f"{kind} {subject.casefold()}".encode()).hexdigest()[:32]


@dataclass
class Failures:
    """The open failures by id; `waiting` are the changed rows that are to be loaded."""

    run_id: str
    open: dict[str, Row] = field(default_factory=dict)
    waiting: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection[Any], schemas: Schemas, run_id: str) -> "Failures":
        """Read the open failures."""
        cursor = connection.cursor(row_factory=dict_row)
        rows = cursor.execute(schemas.qualify(OPEN)).fetchall()
        return cls(run_id, {row["id"]: row for row in rows})

    def add(
        self,
        kind: Kind,
        subject: str,
        repository: str,
        reason: str,
        at: datetime,
        *,
        repository_id: str | None = None,
        subject_id: str | None = None,
        number: int | None = None,
    ) -> None:
        """Record a failure; `subject` is unique within the kind."""
        key = failure_id(kind, subject)
        before = self.open.get(key)
        row = {
            "id": key,
            "run_id": self.run_id,
            "kind": kind,
            "repository_id": repository_id,
            "repository": repository,
            "subject_id": subject_id,
            "number": number,
            "reason": reason,
            "attempts": before["attempts"] + 1 if before else 1,
            "failed_at": at,
            "queued_at": before["queued_at"] if before else None,
            "retry_at": _retried_since(before, at) if subject_id else None,
            "resolved_at": None,
        }
        self.open[key] = self.waiting[key] = row

    def resolve(self, kind: Kind, subjects: Iterable[str], at: datetime) -> None:
        """Mark the failures of these subjects as resolved."""
        for subject in subjects:
            row = self.open.pop(failure_id(kind, subject), None)
            if row is not None:
                self.waiting[row["id"]] = row | {"resolved_at": at, "retry_at": None}

    def resolve_nameless(self, repository_id: str, at: datetime) -> None:
        """Mark the failures without a pull request id as resolved: the repository is complete."""
        for key, row in list(self.open.items()):
            is_of_it = row["kind"] == "pull_request" and row["repository_id"] == repository_id
            if is_of_it and row["subject_id"] is None:
                self.waiting[key] = self.open.pop(key) | {"resolved_at": at, "retry_at": None}

    def subjects(self, kind: Kind) -> list[str]:
        """Return the repositories that have a failure of this kind."""
        return [row["repository"] for row in self.open.values() if row["kind"] == kind]

    def to_retry(self, *kinds: Kind) -> list[tuple[str, str, Any]]:
        """Return node id, repository id and kind of the failures of these kinds to retry.

        Those with the fewest attempts come first; failures of this run are left to the next one.
        """
        rows = [
            row
            for row in sorted(self.open.values(), key=lambda row: int(row["attempts"]))
            if row["retry_at"] and row["run_id"] != self.run_id and row["kind"] in kinds
        ]
        return [
            (row["subject_id"], row["repository_id"], row["kind"])
            for row in rows
            if row["subject_id"]
        ]

    def take_waiting(self) -> list[Row]:
        """Return the rows to load; they are no longer waiting."""
        rows, self.waiting = list(self.waiting.values()), {}
        return rows


def _retried_since(before: Row | None, at: datetime) -> datetime | None:
    """Return since when every run retries it; None after a day of retries."""
    since: datetime | None = before["retry_at"] if before else at
    return since if since and at < since + RETRY_FOR else None
