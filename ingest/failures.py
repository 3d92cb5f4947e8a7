"""What could not be ingested for good: in `raw.ingest_failures` and on the dead letter queue.

A failure is open until what failed has landed after all; the same thing failing again is the same
row with one attempt more. `dora retry` asks for the open ones to be fetched again by the next run.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import dict_row

from ingest.github.models import Row

logger = logging.getLogger(__name__)

Kind = Literal["pull_request", "repository"]
_TOLD = (
    *("id", "kind", "repository", "repository_id", "subject_id", "number", "reason"),
    *("attempts", "run_id"),
)
_OPEN = """
    select id, run_id, kind, repository_id, repository, subject_id, number, reason, attempts,
        failed_at, queued_at, retry_at, resolved_at
    from raw.ingest_failures
    where resolved_at is null
"""
_QUEUED = "update raw.ingest_failures set queued_at = %s where id = any(%s)"
_RETRY_ALL = "update raw.ingest_failures set retry_at = %s where resolved_at is null"
# What has left the queue goes there again should it fail again.
_RETRY_SOME = """
    update raw.ingest_failures set retry_at = %s, queued_at = null
    where resolved_at is null and id = any(%s)
"""


def failure_id(kind: Kind, subject: str) -> str:
    """Return the key of a failure: the kind and the node id or name of what failed."""
    return hashlib.sha256(f"{kind} {subject.casefold()}".encode()).hexdigest()[:32]


@dataclass
class Failures:
    """The open failures by their ids, and the rows of them that are to land."""

    run_id: str
    open: dict[str, Row] = field(default_factory=dict)
    waiting: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection[Any], run_id: str) -> "Failures":
        """Read what is open."""
        rows = connection.cursor(row_factory=dict_row).execute(_OPEN).fetchall()
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
        """Note that something failed; `subject` tells it apart from all else."""
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
            "retry_at": None,
            "resolved_at": None,
        }
        self.open[key] = self.waiting[key] = row

    def resolve(self, kind: Kind, subjects: Iterable[str], at: datetime) -> None:
        """Note that these did not fail after all."""
        for subject in subjects:
            row = self.open.pop(failure_id(kind, subject), None)
            if row is not None:
                self.waiting[row["id"]] = row | {"resolved_at": at, "retry_at": None}

    def subjects(self, kind: Kind) -> list[str]:
        """Return the names of the repositories of which something of this kind failed."""
        return [row["repository"] for row in self.open.values() if row["kind"] == kind]

    def to_retry(self) -> Iterator[tuple[str, str]]:
        """Yield node id and repository id of the pull requests that are to be fetched again."""
        for row in self.open.values():
            if row["retry_at"] and row["subject_id"] and row["repository_id"]:
                yield row["subject_id"], row["repository_id"]

    def take_waiting(self) -> list[Row]:
        """Return the rows to land; they are no longer waiting."""
        rows, self.waiting = list(self.waiting.values()), {}
        return rows


def send_to_queue(connection: Connection[Any], queue_url: str, at: datetime) -> int:
    """Tell the dead letter queue of the open failures that it does not know of; return how many.

    What is sent is marked after that: a failure may come twice, none is left out. Raises nothing
    where the queue is away: the next run tries again.
    """
    rows = connection.cursor(row_factory=dict_row).execute(_OPEN).fetchall()
    unsent = [row for row in rows if row["queued_at"] is None]
    sent: list[str] = []
    if unsent:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            queue = boto3.client("sqs")
            for row in unsent:
                body = json.dumps({name: row[name] for name in _TOLD})
                queue.send_message(QueueUrl=queue_url, MessageBody=body)
                sent.append(row["id"])
        except (BotoCoreError, ClientError) as error:
            logger.error("the dead letter queue took %d failures, then: %s", len(sent), error)
        connection.execute(_QUEUED, [at, sent])
    return len(sent)


def ask_for_retry(connection: Connection[Any], queue_url: str | None, at: datetime) -> int:
    """Have the open failures fetched again by the next run; return how many.

    With a dead letter queue those that it holds, which leave it; without, all of them.
    """
    if queue_url is None:
        return connection.execute(_RETRY_ALL, [at]).rowcount
    import boto3

    queue = boto3.client("sqs")
    asked = 0
    while messages := _receive(queue, queue_url):
        ids = [found for message in messages if (found := _id_in(message))]
        asked += connection.execute(_RETRY_SOME, [at, ids]).rowcount
        connection.commit()
        for message in messages:
            queue.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return asked


def _receive(queue: Any, queue_url: str) -> list[dict[str, Any]]:
    answer = queue.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
    return list(answer.get("Messages", []))


def _id_in(message: dict[str, Any]) -> str | None:
    try:
        return str(json.loads(message["Body"])["id"])
    except (ValueError, KeyError, TypeError):
        logger.warning("a message in the dead letter queue is none of ours: %.200s", message)
        return None
