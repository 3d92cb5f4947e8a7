"""A temporary schema for a trial build, which does not touch the marts."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from psycopg import Connection, errors, sql

from dora.database import Database
from dora.errors import ConfigurationError
from dora.roles import TRANSFORM, may_take_on

PREFIX = "dora_scratch_"
# With the number in the schema's name, the lock of the session that uses the schema.
_LOCK = 0x646F7264
_SCHEMAS = """
select
    nspname,
    pg_get_userbyid(nspowner)
from pg_namespace
where nspname ~ '^dora_scratch_[0-9a-f]{8}$'
"""
# A session that creates something in a schema locks it until the end of the transaction. A
# killed dbt leaves its statement running.
_END_ITS_SESSIONS = """
select pg_terminate_backend(pid)
from pg_locks
where
    locktype = 'object'
    and database = (select oid from pg_database where datname = current_database())
    and classid = 'pg_namespace'::regclass
    and objid = to_regnamespace(%s)
    and pid <> pg_backend_pid()
"""


@contextmanager
def scratch_schema(database: Database) -> Iterator[str]:
    """Create an empty schema that `dora_transform` owns, yield its name, drop it with its contents.

    Schemas of killed processes are dropped first; those in use are not. Raise
    `ConfigurationError` if the login may not create a schema.
    """
    key = secrets.randbits(31)
    name = f"{PREFIX}{key:08x}"
    with closing(database.connect(autocommit=True)) as connection:
        _drop_abandoned(connection)
        connection.execute("select pg_advisory_lock(%s, %s)", [_LOCK, key])
        owner = database.role_or_none(TRANSFORM) or connection.info.user
        _make(connection, name, owner)
        try:
            yield name
        finally:
            _drop(connection, name, owner)


def _make(connection: Connection[Any], name: str, owner: str) -> None:
    statement = sql.SQL("create schema {} authorization {}")
    try:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(owner)))
    except errors.InsufficientPrivilege:
        login, dbname = connection.info.user, connection.info.dbname
        raise ConfigurationError(
            f"the login {login} cannot create a scratch schema in the database {dbname}: "
            f"grant create on database {dbname} to {login}"
        ) from None


def _drop_abandoned(connection: Connection[Any]) -> None:
    for name, owner in connection.execute(_SCHEMAS).fetchall():
        lock = [_LOCK, int(name.removeprefix(PREFIX), 16)]
        if not may_take_on(connection, owner):
            continue
        if connection.execute("select pg_try_advisory_lock(%s, %s)", lock).fetchone() == (True,):
            _drop(connection, name, owner)
            connection.execute("select pg_advisory_unlock(%s, %s)", lock)


def _drop(connection: Connection[Any], name: str, owner: str) -> None:
    connection.execute(_END_ITS_SESSIONS, [name])
    with connection.transaction():
        # As the owner, because the login might not inherit the rights of its role.
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(owner)))
        statement = sql.SQL("drop schema if exists {} cascade")
        connection.execute(statement.format(sql.Identifier(name)))
