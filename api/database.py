"""Reads the marts through a connection pool that recovers when the database was unavailable."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, LiteralString, TypeVar

from fastapi import Depends, Request
from psycopg import ClientCursor, Connection, InterfaceError, OperationalError, errors
from psycopg.abc import Buffer, PQGen
from psycopg.adapt import Loader
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from api.middleware import get_logger, in_database
from api.problems import NoBuildError
from dora.database import Database
from dora.errors import UnavailableError
from dora.roles import READER, may_take_on
from dora.schemas import Schemas
from dora.session_settings import as_statement, expect_supported, settings_for

logger = get_logger(__name__)

# Also the number of worker threads (api.app). More threads would compete for Python's GIL, which
# slows down the slowest responses most.
MAX_CONNECTIONS = 4
CONNECTION_SECONDS = 3.0
CONNECT_TIMEOUT = 3
# How long the pool retries a connection; after that, the next request starts a new attempt at once.
# For the same time after a timeout, requests fail immediately. Otherwise each queued request would
# wait for the timeouts of all requests before it.
RECONNECT_SECONDS = 1.0
STATEMENT_SECONDS = 3
ANSWER_SECONDS = 4.0

_Result = TypeVar("_Result")

# Starts every query about a build. One statement sees one build: a build is published in one
# transaction.
BUILD: LiteralString = """
with build as materialized (
    select build_id, as_of, reporting_timezone from marts.dim_build
)
"""


class _NoAnswerError(OperationalError):
    """The server did not answer within `ANSWER_SECONDS`."""


class _LostConnectionError(Exception):
    """The connection was lost, since its last use or during this query."""


class _InstantLoader(Loader):
    """Parses the ISO format that our transactions set.

    The loader of psycopg uses the session's DateStyle, which changes back after the commit.
    """

    def load(self, data: Buffer) -> datetime:
        return datetime.fromisoformat(bytes(data).decode())


class _BoundedConnection(Connection[Any]):
    """A connection that waits at most `ANSWER_SECONDS` for the server.

    The server enforces `statement_timeout`, which is not enough if it hangs or the network fails.
    """

    # SQL that starts each transaction. Its settings end with the transaction: behind a pooler,
    # another client uses the same server connection afterwards.
    begin = b""

    def prepare(self, role: str) -> None:
        """Run each transaction as `role`; "none" means the login role."""
        self.adapters.register_loader("timestamptz", _InstantLoader)
        settings = settings_for(self.info.server_version)
        settings |= {"statement_timeout": f"{STATEMENT_SECONDS}s", "role": role}
        self.begin = f"begin read only; {as_statement(settings)};".encode()

    def rows(self, query: bytes, parameters: Mapping[str, object] | None) -> list[DictRow]:
        """Run a query in a separate transaction, sent to the server as one message."""
        with ClientCursor(self, row_factory=dict_row) as cursor:
            cursor.execute(self.begin + query + b"; commit", parameters)
            # The last result is that of the commit.
            return cursor.set_result(-2).fetchall()

    def wait(self, gen: PQGen[_Result], *args: Any, **options: Any) -> _Result:
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, gen: PQGen[_Result]) -> PQGen[_Result]:
        """Run `gen` with a time limit; psycopg resumes it several times a second."""
        until = time.monotonic() + ANSWER_SECONDS
        try:
            waits_for = next(gen)
            while True:
                ready = yield waits_for
                if time.monotonic() > until:
                    # The protocol exchange is incomplete, so the connection cannot be reused.
                    self.pgconn.finish()
                    raise _NoAnswerError(f"no answer within {ANSWER_SECONDS:g} s")
                waits_for = gen.send(ready)
        except StopIteration as end:
            result: _Result = end.value
            return result


class Marts:
    """Rows of the schema `marts`, as the role `dora_reader`.

    The first query opens the pool, so start-up needs no database. A query takes at most about
    `CONNECTION_SECONDS + ANSWER_SECONDS`. Raises `NoBuildError` if no build has run, and
    `UnavailableError` if the rows cannot be read for another reason.
    """

    def __init__(
        self, address: Callable[[], str], schemas: Callable[[], Schemas] = Schemas
    ) -> None:
        """`address` returns the database URL; it is called for every new connection.

        `schemas` is called once. Queries name the schema `marts`, whatever the prefix.
        """
        self._address = address
        self._ask_for_schemas = schemas
        self._told = False
        self._away_until = 0.0
        self._pool: ConnectionPool[_BoundedConnection] | None = None
        self._lock = threading.Lock()

    @cached_property
    def _schemas(self) -> Schemas:
        return self._ask_for_schemas()

    def rows(
        self, query: LiteralString, parameters: Mapping[str, object] | None = None
    ) -> list[DictRow]:
        """Run one query; its text is a literal, and values from callers go into `parameters`.

        Connections are not checked before use, because the check takes as long as a short query.
        If one was lost, all idle connections are replaced and the query runs again.
        """
        qualified = self._schemas.qualify(query)
        try:
            with in_database():
                if time.monotonic() < self._away_until:
                    raise UnavailableError("the last attempt to connect has just timed out")
                try:
                    return self._read(qualified, parameters)
                except _LostConnectionError:
                    self._opened().drain()
                    return self._read(qualified, parameters)
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName):
            raise NoBuildError from None
        except errors.InsufficientPrivilege as error:
            logger.error("The API may not read the marts: %s", error.diag.message_primary)
            raise UnavailableError("The API may not read the marts; run `dora db init`.") from None
        except errors.QueryCanceled:
            raise UnavailableError("The database is too slow at the moment; try again.") from None
        except (
            OperationalError,
            InterfaceError,
            UnavailableError,
            _LostConnectionError,
        ) as error:
            if isinstance(error, PoolTimeout):
                self._away_until = time.monotonic() + RECONNECT_SECONDS
            logger.warning("The database did not answer: %s", error)
            raise UnavailableError("The database is unavailable; try again.") from None

    def of_one_build(
        self, query: LiteralString, parameters: Mapping[str, object] | None = None
    ) -> list[DictRow]:
        """Run a query that selects from the common table expression `build`.

        Every row comes from the same build. Raises `NoBuildError` if there is no build.
        """
        found = self.rows(BUILD + query, parameters)
        if not found:
            raise NoBuildError
        return found

    def build_id(self) -> str:
        """Return the id of the build in the marts. Raises `NoBuildError` if there is no build."""
        return str(self.of_one_build("select build.build_id from build")[0]["build_id"])

    def _read(self, query: bytes, parameters: Mapping[str, object] | None) -> list[DictRow]:
        with self._opened().connection() as connection:
            expect_supported(connection.info)
            try:
                return connection.rows(query, parameters)
            except (OperationalError, InterfaceError) as error:
                if connection.closed and not isinstance(error, _NoAnswerError):
                    raise _LostConnectionError(error) from None
                raise

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _opened(self) -> ConnectionPool[_BoundedConnection]:
        with self._lock:
            if self._pool is None:
                # Called here once, because the pool would swallow its exceptions.
                self._conninfo()
                self._pool = ConnectionPool(
                    self._conninfo,
                    connection_class=_BoundedConnection,
                    kwargs={
                        "autocommit": True,
                        "connect_timeout": CONNECT_TIMEOUT,
                        "application_name": "dora-api",
                        # A prepared plan breaks when a build changes a column's type. Behind a
                        # pooler, another client may have prepared a statement of the same name.
                        "prepare_threshold": None,
                    },
                    configure=self._configure,
                    name="marts",
                    min_size=0,
                    max_size=MAX_CONNECTIONS,
                    timeout=CONNECTION_SECONDS,
                    reconnect_timeout=RECONNECT_SECONDS,
                    max_waiting=100,
                    open=True,
                )
            return self._pool

    def _conninfo(self) -> str:
        return Database(self._address()).conninfo_without_session()

    def _configure(self, connection: _BoundedConnection) -> None:
        reader = self._schemas.role(READER)
        connection.prepare("none")
        connection.execute(connection.begin)
        may_be_reader = may_take_on(connection, reader)
        connection.rollback()
        if may_be_reader:
            connection.prepare(reader)
        elif not self._told:
            self._told = True
            logger.warning("The API's login may not become %s; it reads as itself", reader)


async def marts(request: Request) -> Marts:
    """Dependency: the marts of this app."""
    found: Marts = request.app.state.marts
    return found


FromMarts = Annotated[Marts, Depends(marts)]
