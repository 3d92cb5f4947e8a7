"""Send a digest to each destination once a week; `raw.digests` records it.

A row is claimed before the message is sent. If the process ends before it has recorded the result,
the row stays claimed: nobody knows whether the message has arrived, and it is not sent again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import psycopg

from cli.digest_content import Digest
from cli.digest_destinations import Destination, Status
from cli.digest_rendering import Format
from dora.database import Database, error_of
from dora.errors import DoraError
from dora.roles import INGEST

# Any number that nothing else in this database uses as a lock.
LOCK = 0x646F7265
_TABLE = """
create table if not exists raw.digests (
    week date not null,
    team_id text not null,
    destination text not null,
    claimed_at timestamptz not null,
    sent_at timestamptz,
    failed_at timestamptz,
    primary key (week, team_id, destination)
)
"""
# Changes no row that is sent or that stayed claimed, unless it is sent again on purpose.
_CLAIM = """
insert into raw.digests as claimed (week, team_id, destination, claimed_at)
values (%(week)s, %(team_id)s, %(destination)s, %(now)s)
on conflict (week, team_id, destination) do update
set claimed_at = excluded.claimed_at, sent_at = null, failed_at = null
where claimed.failed_at is not null or %(again)s
returning true
"""
_CLAIMED = """
select claimed_at, sent_at
from raw.digests
where week = %(week)s and team_id = %(team_id)s and destination = %(destination)s
"""
_RECORD = """
update raw.digests
set
    sent_at = case when %(status)s = 'sent' then %(now)s::timestamptz end,
    failed_at = case when %(status)s = 'failed' then %(now)s::timestamptz end
where week = %(week)s and team_id = %(team_id)s and destination = %(destination)s
"""


@dataclass(frozen=True)
class Outcome:
    """What happened to a digest for one destination, in words; `is_fine` if it has arrived."""

    text: str
    is_fine: bool


def send(
    database: Database,
    digest: Digest,
    destinations: Sequence[Destination],
    *,
    form: Format | None = None,
    again: bool = False,
) -> Iterator[Outcome]:
    """Send a digest to each destination that has not had it; yield what happened.

    `again` sends it also to those that have had it, or may have. Raise `DoraError` if the
    database cannot be written; a message is sent only after its claim is committed.
    """
    qualify = database.schemas.qualify
    with _session(database) as connection:
        # Waits for another process that is sending, so that a claimed row is one of a dead process.
        connection.execute("select pg_advisory_lock(%s)", [database.schemas.lock(LOCK)])
        connection.execute(qualify(_TABLE))
        for destination in destinations:
            # Before the claim, so that a fault in it leaves none behind.
            message = destination.message(digest, form)
            row = {
                "week": digest.week,
                "team_id": digest.team.id,
                "destination": destination.key,
                "again": again,
            }
            if not connection.execute(qualify(_CLAIM), row | {"now": _now()}).fetchone():
                claimed = connection.execute(qualify(_CLAIMED), row).fetchone()
                yield _had(claimed, destination, digest.week)
                continue
            status, reason = destination.send(message)
            try:
                connection.execute(qualify(_RECORD), row | {"now": _now(), "status": status})
            except psycopg.Error as error:
                raise _not_recorded(error, database, destination, status) from error
            yield _outcome(destination, digest.week, status, reason)


@contextmanager
def _session(database: Database) -> Iterator[psycopg.Connection[Any]]:
    try:
        with database.connect(INGEST, autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise error_of(error, f"the database {database}") from error


def _now() -> datetime:
    return datetime.now(UTC)


def _had(claimed: Any, destination: Destination, week: date) -> Outcome:
    claimed_at, sent_at = claimed
    if sent_at is not None:
        return Outcome(
            f"the week of {week} was sent to {destination} on {sent_at:%Y-%m-%d %H:%M} UTC; "
            "--again sends it again",
            True,
        )
    return Outcome(
        f"the week of {week} may have been sent to {destination} on "
        f"{claimed_at:%Y-%m-%d %H:%M} UTC, but the attempt did not end with a confirmation: look "
        "there; --again sends it",
        False,
    )


def _outcome(destination: Destination, week: date, status: Status, reason: str) -> Outcome:
    if status is Status.SENT:
        return Outcome(f"the week of {week} was sent to {destination}", True)
    if status is Status.FAILED:
        return Outcome(
            f"the week of {week} was not sent to {destination}: {reason}; the next run tries again",
            False,
        )
    return Outcome(
        f"the week of {week} may have been sent to {destination}: {reason}; look there; --again "
        "sends it",
        False,
    )


def _not_recorded(
    error: psycopg.Error, database: Database, destination: Destination, status: Status
) -> DoraError:
    found = error_of(error, f"the database {database}")
    found.add_note(f"{destination}: {status}, which could not be recorded")
    return found
