"""The marts, read through a pool of connections that survives the database's absence."""

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

# As many as there are threads that answer (api.app): more of them wait for each other's turn in
# Python, and the slowest answers wait the longest.
MAX_CONNECTIONS = 4
CONNECTION_SECONDS = 3.0
CONNECT_TIMEOUT = 3
# The pool pauses between its attempts; given up, the next request begins a new one at once. For as
# long, a database that was out of reach is taken to be so still: else those who wait for one thread
# after another would wait for all that went before them.
RECONNECT_SECONDS = 1.0
STATEMENT_SECONDS = 3
ANSWER_SECONDS = 4.0

_Result = TypeVar("_Result")

# Begins every query about a build. One statement sees one build: publishing is one transaction.
BUILD: LiteralString = """
with build as materialized (
    select build_id, as_of, reporting_timezone from marts.dim_build
)
"""


class _NoAnswerError(OperationalError):
    """The server kept a connection waiting for too long."""


class _LostConnectionError(Exception):
    """The connection is gone, since its last use or in the middle of this one."""


class _InstantLoader(Loader):
    """Reads the ISO form that our transactions ask for.

    psycopg's own goes by the session's DateStyle, which is another again after the commit.
    """

    def load(self, data: Buffer) -> datetime:
        return datetime.fromisoformat(bytes(data).decode())


class _BoundedConnection(Connection[Any]):
    """A connection that waits `ANSWER_SECONDS` for the server and no longer.

    `statement_timeout` is kept by the server: one that hangs, or whose network is gone, keeps none.
    """

    # What each transaction begins with; nothing of it outlasts it: behind a pooler, the server's
    # connection is another client's afterwards.
    begin = b""

    def prepare(self, role: str) -> None:
        """Have each transaction be one of `role`'s; "none" is the login itself."""
        self.adapters.register_loader("timestamptz", _InstantLoader)
        settings = settings_for(self.info.server_version)
        settings |= {"statement_timeout": f"{STATEMENT_SECONDS}s", "role": role}
        self.begin = f"begin read only; {as_statement(settings)};".encode()

    def rows(self, query: bytes, parameters: Mapping[str, object] | None) -> list[DictRow]:
        """Run a query in a transaction of its own; all of it is one message to the server."""
        with ClientCursor(self, row_factory=dict_row) as cursor:
            cursor.execute(self.begin + query + b"; commit", parameters)
            # The last result but that of the commit.
            return cursor.set_result(-2).fetchall()

    def wait(self, gen: PQGen[_Result], *args: Any, **options: Any) -> _Result:
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, gen: PQGen[_Result]) -> PQGen[_Result]:
        """The same conversation with the server; psycopg looks in several times a second."""
        until = time.monotonic() + ANSWER_SECONDS
        try:
            waits_for = next(gen)
            while True:
                ready = yield waits_for
                if time.monotonic() > until:
                    # In the middle of a conversation: of no use to anybody any more.
                    self.pgconn.finish()
                    raise _NoAnswerError(f"no answer within {ANSWER_SECONDS:g} s")
                waits_for = gen.send(ready)
        except StopIteration as end:
            result: _Result = end.value
            return result


class Marts:
    """Rows of the schema `marts`, as the role `dora_reader`.

    The pool is opened by the first query, so that start-up needs no database. A query takes at most
    about `CONNECTION_SECONDS + ANSWER_SECONDS`. Whatever keeps the rows away is raised as
    `UnavailableError`, a build that has not run as `NoBuildError`.
    """

    def __init__(
        self, address: Callable[[], str], schemas: Callable[[], Schemas] = Schemas
    ) -> None:
        """`address` gives the database's URL, asked for every new connection.

        `schemas` is asked once. Queries say `marts`, whatever the prefix.
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
        """Run one query; its text is a literal and what a caller sent goes into `parameters`.

        A connection is not asked whether it is still there before it is used, which would take as
        long as many a query: where it is not, all that are idle are replaced, and it is read again.
        """
        qualified = self._schemas.qualify(query)
        try:
            with in_database():
                if time.monotonic() < self._away_until:
                    raise UnavailableError("it was out of reach a moment ago")
                try:
                    return self._read(qualified, parameters)
                except _LostConnectionError:
                    self._opened().drain()
                    return self._read(qualified, parameters)
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName):
            raise NoBuildError from None
        except errors.InsufficientPrivilege as error:
            logger.error("The marts may not be read: %s", error.diag.message_primary)
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
            raise UnavailableError("The database is out of reach; try again.") from None

    def of_one_build(
        self, query: LiteralString, parameters: Mapping[str, object] | None = None
    ) -> list[DictRow]:
        """Run a query that selects from `build`, its `build_id` and `as_of` among it.

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
                # Asked for once out here: inside the pool what it raises would be lost.
                self._conninfo()
                self._pool = ConnectionPool(
                    self._conninfo,
                    connection_class=_BoundedConnection,
                    kwargs={
                        "autocommit": True,
                        "connect_timeout": CONNECT_TIMEOUT,
                        "application_name": "dora-api",
                        # A prepared plan breaks when a build changes a column's type; and behind
                        # a pooler, a statement of this name may be another client's.
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
            logger.warning("The API's login may not become %s: going on without", reader)


async def marts(request: Request) -> Marts:
    """Dependency: the marts of this app."""
    found: Marts = request.app.state.marts
    return found


FromMarts = Annotated[Marts, Depends(marts)]
