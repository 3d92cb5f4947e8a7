"""A Postgres advisory lock: only one ingest run at a time per installation, on any machine."""

from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import psycopg

from dora.database import Database
from dora.errors import StoppedEarly, UnavailableError

# An arbitrary number; no other user of advisory locks in this database may use it.
KEY = 0x646F7261
_ALIVE: dict[str, Any] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_LAST_LOAD = "select max(load_id) from raw._dlt_loads"


class Lock:
    """Held during a run; the server releases it when the connection ends, even of a killed run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection[Any] | None = None
        self._last_load: str | None = None
        self.is_held = False

    def __enter__(self) -> Self:
        self._take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connection is None:
            return
        # Otherwise the server releases it a moment later, perhaps after the next run has started.
        with suppress(psycopg.Error):
            self._connection.execute("select pg_advisory_unlock_all()")
        self._connection.close()

    def confirm(self) -> None:
        """Make sure that this run still holds the lock before it loads something.

        A server restart releases the lock. Raises `StoppedEarly` if another run has started or
        loaded something in the meantime, `UnavailableError` if the server is unavailable.
        """
        try:
            assert self._connection is not None
            self._connection.execute("select 1")
        except psycopg.OperationalError:
            self._take()
            if not self.is_held or self._last_landed() != self._last_load:
                raise StoppedEarly(
                    "the database was restarted and another run took over; run again to continue"
                ) from None

    @property
    def last_load(self) -> str | None:
        """Dlt's id of the last load."""
        return self._last_load

    def landed(self, load_id: str | None = None) -> None:
        """Note the last load: the given one, or else the newest in the database."""
        self._last_load = load_id or self._last_landed()

    def _take(self) -> None:
        # Keepalives: a firewall may drop an idle connection, and the server would keep the lock.
        self._connection = self._database.connect(autocommit=True, **_ALIVE)
        lock = [self._database.schemas.lock(KEY)]
        row = self._connection.execute("select pg_try_advisory_lock(%s)", lock).fetchone()
        self.is_held = row == (True,)

    def _last_landed(self) -> str | None:
        assert self._connection is not None
        try:
            query = self._database.schemas.qualify(_LAST_LOAD)
            row = self._connection.execute(query).fetchone()
        except psycopg.OperationalError as error:
            raise UnavailableError(f"the database {self._database} is unavailable") from error
        return row[0] if row else None
