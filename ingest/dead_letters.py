"""The dead letter queue: sends it failures, and takes them back for a retry.

Both hold the ingest's lock, so that nothing else changes a failure in the meantime.
"""

import json
import logging
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from dora.database import Database
from dora.errors import StoppedEarly, UnavailableError
from dora.plurals import counted
from dora.roles import INGEST
from dora.schemas import Schemas
from ingest.failures import OPEN
from ingest.lock import Lock

logger = logging.getLogger(__name__)

# SQS takes ten messages at once. If it does not answer, it must not use up the run's last minute.
AT_ONCE = 10
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 3, 5, 2
_TOLD = (
    *("id", "kind", "repository", "repository_id", "subject_id", "number", "reason"),
    *("attempts", "run_id"),
)
_QUEUED = "update raw.ingest_failures set queued_at = %s where id = any(%s)"
_RETRY_ALL = "update raw.ingest_failures set retry_at = %s where resolved_at is null"
# `queued_at` becomes null, so that a failure is sent to the queue again if the retry fails.
_RETRY_SOME = """
    update raw.ingest_failures set retry_at = %s, queued_at = null
    where resolved_at is null and id = any(%s)
"""


def tell_queue(database: Database, queue_url: str, at: datetime) -> None:
    """Send the queue the open failures that it has not received yet.

    A failure is marked after it was sent, so it may be sent twice but is never left out. If the
    queue or the database is unavailable, this logs an error; the next run tries again.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    sent = 0
    qualify = database.schemas.qualify
    try:
        with database.connect(INGEST) as connection:
            rows = connection.cursor(row_factory=dict_row).execute(qualify(OPEN)).fetchall()
            unsent = [row for row in rows if row["queued_at"] is None]
            for start in range(0, len(unsent), AT_ONCE):
                ids = _send(queue_url, unsent[start : start + AT_ONCE])
                connection.execute(qualify(_QUEUED), [at, ids])
                connection.commit()
                sent += len(ids)
    except (BotoCoreError, ClientError, UnavailableError, psycopg.OperationalError) as error:
        logger.error("the dead letter queue accepted %s, then: %s", counted(sent, "failure"), error)


def ask_for_retry(database: Database, queue_url: str | None, at: datetime) -> int:
    """Make the next run fetch the open failures again; return how many.

    If there is a dead letter queue, these are the failures in it, which are removed from it;
    otherwise all of them. Raises `StoppedEarly` if a run is in progress, `UnavailableError` if the
    queue is unavailable.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    with Lock(database) as lock, database.connect(INGEST) as connection:
        if not lock.is_held:
            raise StoppedEarly("an ingest run is in progress; try again after it has ended")
        if queue_url is None:
            return connection.execute(database.schemas.qualify(_RETRY_ALL), [at]).rowcount
        try:
            return _take_from(queue_url, connection, database.schemas, at)
        except (BotoCoreError, ClientError) as error:
            raise UnavailableError(f"DLQ_URL {queue_url} is unavailable: {error}") from None


def _queue() -> Any:
    import boto3
    from botocore.config import Config

    retries: Any = {"total_max_attempts": ATTEMPTS}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
    return boto3.client("sqs", config=config)


def _send(queue_url: str, failures: list[dict[str, Any]]) -> list[str]:
    """Send up to `AT_ONCE` failures; return the ids of those that the queue accepted."""
    entries: Any = [
        {"Id": row["id"], "MessageBody": json.dumps({name: row[name] for name in _TOLD})}
        for row in failures
    ]
    answer = _queue().send_message_batch(QueueUrl=queue_url, Entries=entries)
    for refused in answer.get("Failed", []):
        logger.error("the dead letter queue refused %s: %s", refused["Id"], refused["Message"])
    return [taken["Id"] for taken in answer.get("Successful", [])]


def _take_from(queue_url: str, connection: Connection[Any], schemas: Schemas, at: datetime) -> int:
    queue = _queue()
    retry = schemas.qualify(_RETRY_SOME)
    asked = 0
    others: list[str] = []
    while messages := queue.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=0
    ).get("Messages"):
        ours = {found: message for message in messages if (found := _id_in(message))}
        asked += connection.execute(retry, [at, list(ours)]).rowcount
        connection.commit()
        for message in messages:
            handle = message["ReceiptHandle"]
            if message in ours.values():
                queue.delete_message(QueueUrl=queue_url, ReceiptHandle=handle)
            else:
                others.append(handle)
    for handle in others:
        queue.change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=handle, VisibilityTimeout=0
        )
    return asked


def _id_in(message: dict[str, Any]) -> str | None:
    try:
        return str(json.loads(message["Body"])["id"])
    except (ValueError, KeyError, TypeError):
        logger.warning("a message in the dead letter queue is not from dora: %.200s", message)
        return None
