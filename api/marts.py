"""The marts, read through a pool of connections that survives the database's absence."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, LiteralString, TypeVar

from fastapi import Depends, Request
from psycopg import Connection, Cursor, InterfaceError, OperationalError, errors, sql
from psycopg.abc import PQGen
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from api.observed import get_logger, in_database
from api.problems import NoBuildError
from dora.database import Database
from dora.errors import UnavailableError
from dora.roles import READER, may_take_on

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

# Begins every query about a build. `snapshot` is there while the next build is under way: what the
# statement reads may be partly that one's, and the snapshot shows the marts from before it. Of a
# build that was killed it stays, and makes the marts others than those that `build_id` was of.
BUILD: LiteralString = """
with noted as (
    select
        substring(description from 'dora build under way: ([0-9A-F-]+)') as snapshot
    from pg_catalog.pg_description
    where
        objoid = 'marts'::regnamespace
        and classoid = 'pg_namespace'::regclass
        and objsubid = 0
),

build as materialized (
    select
        concat_ws(' ', dim_build.build_id, noted.snapshot) as build_id,
        dim_build.as_of,
        dim_build.reporting_timezone,
        noted.snapshot
    from marts.dim_build
    left join noted
        on true
)
"""
# Names are looked up as of now, whatever the snapshot: a table that was replaced since is another.
_ARE_THE_SAME_TABLES = """
select coalesce(bool_and(to_regclass(format('marts.%%I', relname)) = oid), true) as are_the_same
from pg_catalog.pg_class
where
    relnamespace = 'marts'::regnamespace and relkind = 'r' and relname = any(%(read)s)
"""
_MARTS_READ = re.compile(r"\bmarts\.(\w+)")
_SNAPSHOT_IS_GONE = (
    errors.UndefinedObject,
    errors.InvalidParameterValue,
    errors.ObjectNotInPrerequisiteState,
)
_SESSION = """
select
    set_config('timezone', 'UTC', false),
    set_config('statement_timeout', %s, false),
    set_config('default_transaction_read_only', 'on', false)
"""


class _NoAnswerError(OperationalError):
    """The server kept a connection waiting for too long."""


class _LostConnectionError(Exception):
    """The connection is gone, since its last use or in the middle of this one."""


class _ReplacedError(Exception):
    """A snapshot from before a table was replaced shows that table without its rows."""


class _BoundedConnection(Connection[Any]):
    """A connection that waits `ANSWER_SECONDS` for the server and no longer.

    `statement_timeout` is kept by the server: one that hangs, or whose network is gone, keeps none.
    """

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

    def __init__(self, address: Callable[[], str]) -> None:
        """`address` gives the database's URL; it is asked for every new connection."""
        self._address = address
        self._told = False
        self._dead: str | None = None
        self._away_until = 0.0
        self._pool: ConnectionPool[Connection[Any]] | None = None
        self._lock = threading.Lock()

    def rows(
        self, query: LiteralString, parameters: Mapping[str, object] | None = None
    ) -> list[DictRow]:
        """Run one query; its text is a literal and what a caller sent goes into `parameters`."""
        return self._read(lambda cursor: cursor.execute(query, parameters).fetchall())

    def of_one_build(
        self, query: LiteralString, parameters: Mapping[str, object] | None = None
    ) -> list[DictRow]:
        """Run a query that selects from `build`, its `build_id`, `as_of` and `snapshot` among it.

        All that it reads is of that build, also while another one is under way. Raises
        `NoBuildError` where there is none.
        """
        return self._read(lambda cursor: self._of_one_build(cursor, BUILD + query, parameters))

    def _of_one_build(
        self, cursor: Cursor[DictRow], query: LiteralString, parameters: Mapping[str, object] | None
    ) -> list[DictRow]:
        tried = None
        while True:
            found = cursor.execute(query, parameters).fetchall()
            if not found:
                raise NoBuildError
            snapshot = found[0]["snapshot"]
            if snapshot in (None, self._dead):
                return found
            if snapshot == tried:
                # Who ends a build in order takes the note away first.
                self._dead = snapshot
                logger.warning("A build was cut off; the marts may be partly its own")
                return found
            before, tried = self._before(cursor, snapshot, query, parameters), snapshot
            if before is not None:
                return before

    def build_id(self) -> str:
        """The build that is answered from. Raises `NoBuildError` where there is none."""
        found = self.of_one_build("select build.build_id, build.snapshot from build")
        return str(found[0]["build_id"])

    def _before(
        self,
        cursor: Cursor[DictRow],
        snapshot: str,
        query: LiteralString,
        parameters: Mapping[str, object] | None,
    ) -> list[DictRow] | None:
        """Rows as they were before the build under way; None where that has ended."""
        try:
            with cursor.connection.transaction():
                cursor.execute("set transaction isolation level repeatable read")
                statement = sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot))
                cursor.execute(statement)
                found = cursor.execute(query, parameters).fetchall()
                read = {"read": _MARTS_READ.findall(query)}
                same = cursor.execute(_ARE_THE_SAME_TABLES, read).fetchone()
        except _SNAPSHOT_IS_GONE:
            return None
        if same != {"are_the_same": True}:
            raise _ReplacedError
        if not found:
            raise NoBuildError
        return found

    def _read(self, read: Callable[[Cursor[DictRow]], list[DictRow]]) -> list[DictRow]:
        """What `read` reads; what the database raises is told as it concerns a caller.

        A connection is not asked whether it is still there before it is used, which would take as
        long as many a query: where it is not, all that are idle are replaced, and it is read again.
        """
        try:
            with in_database():
                if time.monotonic() < self._away_until:
                    raise UnavailableError("it was out of reach a moment ago")
                try:
                    return self._read_once(read)
                except _LostConnectionError:
                    self._opened().drain()
                    return self._read_once(read)
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName):
            raise NoBuildError from None
        except errors.InsufficientPrivilege as error:
            logger.error("The marts may not be read: %s", error.diag.message_primary)
            raise UnavailableError("The API may not read the marts; run `dora db init`.") from None
        except errors.QueryCanceled:
            raise UnavailableError("The database is too slow at the moment; try again.") from None
        except _ReplacedError:
            raise UnavailableError("A build is replacing the marts' tables; try again.") from None
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

    def _read_once(self, read: Callable[[Cursor[DictRow]], list[DictRow]]) -> list[DictRow]:
        with self._opened().connection() as connection:
            try:
                with connection.cursor(row_factory=dict_row) as cursor:
                    return read(cursor)
            except (OperationalError, InterfaceError) as error:
                if connection.closed and not isinstance(error, _NoAnswerError):
                    raise _LostConnectionError(error) from None
                raise

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _opened(self) -> ConnectionPool[Connection[Any]]:
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
                        # A prepared plan breaks when a build changes a column's type.
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
        return Database(self._address()).url

    def _configure(self, connection: Connection[Any]) -> None:
        if may_take_on(connection, READER):
            connection.execute(f"set role {READER}")
        elif not self._told:
            self._told = True
            logger.warning("The API's login may not become %s: going on without", READER)
        connection.execute(_SESSION, [f"{STATEMENT_SECONDS}s"])


async def marts(request: Request) -> Marts:
    """Dependency: the marts of this app."""
    found: Marts = request.app.state.marts
    return found


FromMarts = Annotated[Marts, Depends(marts)]
