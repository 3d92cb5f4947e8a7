"""The schemas, the three roles and what each may do."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import Connection, errors, sql

from dora.errors import ConfigurationError

if TYPE_CHECKING:
    from dora.database import Database

logger = logging.getLogger(__name__)

INGEST, TRANSFORM, READER = ROLES = ("dora_ingest", "dora_transform", "dora_reader")
# dlt merges by way of a staging dataset, which it names after the dataset.
OWNERS = {
    "raw": INGEST,
    "raw_staging": INGEST,
    "staging": TRANSFORM,
    "intermediate": TRANSFORM,
    "marts": TRANSFORM,
    "snapshots": TRANSFORM,
}
READERS = {"raw": TRANSFORM, "marts": READER}
ATTEMPTS = 5
# Any number that nobody else in this database uses as a lock: an ingest run has its own.
_LOCK = 0x646F7262
# Another database of the cluster being initialised at the same time: roles belong to all of them.
_COLLISIONS = (
    errors.UniqueViolation,
    errors.DuplicateObject,
    errors.DuplicateSchema,
    errors.InternalError_,
    errors.DeadlockDetected,
    errors.UndefinedTable,
)

_STRANGERS = """
with

found as (
    select
        class.relname,
        class.relkind::text as kind,
        class.relowner as owner_id
    from pg_class as class
    where
        class.relnamespace = to_regnamespace(%(schema)s)
        and class.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
        -- A sequence that belongs to a column goes with its table.
        and not (
            class.relkind = 'S'
            and exists (
                select from pg_depend
                where
                    pg_depend.classid = 'pg_class'::regclass
                    and pg_depend.objid = class.oid
                    and pg_depend.deptype in ('a', 'i')
            )
        )
),

everything as (
    select
        '' as relname,
        'schema' as kind,
        nspowner as owner_id
    from pg_namespace
    where nspname = %(schema)s
    union all
    select * from found
)

select
    everything.relname,
    everything.kind,
    pg_get_userbyid(everything.owner_id),
    pg_has_role(current_user, everything.owner_id, 'USAGE')
from everything
where pg_get_userbyid(everything.owner_id) <> %(role)s
order by everything.kind <> 'schema', everything.relname
"""
_ALTER: dict[str, LiteralString] = {
    "r": "alter table {}.{} owner to {}",
    "p": "alter table {}.{} owner to {}",
    "f": "alter foreign table {}.{} owner to {}",
    "v": "alter view {}.{} owner to {}",
    "m": "alter materialized view {}.{} owner to {}",
    "S": "alter sequence {}.{} owner to {}",
}
_TABLES = """
select relname
from pg_class
where
    relnamespace = to_regnamespace(%s)
    and pg_get_userbyid(relowner) = %s
    and relkind in ('r', 'p', 'f', 'v', 'm')
order by relname
"""
_LATER: LiteralString = (
    "alter default privileges for role {} in schema {} grant select on tables to {}"
)


def may_take_on(connection: Connection[Any], role: str) -> bool:
    """Whether the login may `set role`; False also where there is no such role."""
    # PostgreSQL 16 parted "is a member" from "may set the role".
    privilege = "SET" if connection.info.server_version >= 160_000 else "MEMBER"
    query = "select pg_has_role(session_user, oid, %s) from pg_roles where rolname = %s"
    return connection.execute(query, [privilege, role]).fetchone() == (True,)


def initialise(database: "Database") -> list[str]:
    """Make schemas and roles, with their rights, where they are missing; put right what is not.

    Safe to repeat and to run twice at once. Returns what the user should know: what the login
    was not allowed to do. Raise `ConfigurationError` where it may not even make the schemas.
    """
    for attempt in range(ATTEMPTS):
        try:
            with database.connect() as connection:
                if _is_set_up(connection):
                    return []
                connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
                return list(_initialised(connection))
        except _COLLISIONS:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def _is_set_up(connection: Connection[Any]) -> bool:
    """Whether somebody else has made everything, for a login that is to have a part of it only.

    In AWS each function's login is in one of the roles.
    """
    own = [role for role in ROLES if may_take_on(connection, role)]
    if not 0 < len(own) < len(ROLES):
        return False
    query = "select nspname, pg_get_userbyid(nspowner) from pg_namespace"
    return OWNERS.items() <= dict(connection.execute(query).fetchall()).items()


def _initialised(connection: Connection[Any]) -> Iterator[str]:
    login = connection.info.user
    roles = {role for role in ROLES if _has_role(connection, role)}
    if missing := [role for role in ROLES if role not in roles]:
        yield (
            f"the login {login} may not become {', '.join(missing)} and goes on as itself: "
            "allow it to create roles, or make them and grant them to it"
        )
    for schema, owner in OWNERS.items():
        _make_schema(connection, schema, owner if owner in roles else login)
        if owner in roles:
            _let_make_temporary_tables(connection, owner)
            yield from _hand_over(connection, schema, owner)
        reader = READERS.get(schema)
        if reader is not None and not _exists(connection, reader):
            reader = None
        yield from _let_read(connection, schema, owner if owner in roles else login, reader)


def _has_role(connection: Connection[Any], role: str) -> bool:
    """Make the role and grant it to the login, where need be; whether the login may take it on."""
    if may_take_on(connection, role):
        return True
    try:
        # A savepoint: a refusal leaves the rest of the transaction as it was.
        with connection.transaction():
            if not _exists(connection, role):
                _run(connection, "create role {}", role)
            # Who creates a role may grant it, but from PostgreSQL 16 on not take it on unasked.
            if not may_take_on(connection, role):
                _run(connection, "grant {} to {}", role, connection.info.user)
    except errors.InsufficientPrivilege as error:
        logger.debug("role %s: %s", role, error.diag.message_primary)
    return may_take_on(connection, role)


def _exists(connection: Connection[Any], role: str) -> bool:
    query = "select exists (select from pg_roles where rolname = %s)"
    return connection.execute(query, [role]).fetchone() == (True,)


def _make_schema(connection: Connection[Any], schema: str, owner: str) -> None:
    # Asked first: `if not exists` needs the right to make it even where it is there.
    query = "select exists (select from pg_namespace where nspname = %s)"
    if connection.execute(query, [schema]).fetchone() == (True,):
        return
    try:
        _run(connection, "create schema {} authorization {}", schema, owner)
    except errors.InsufficientPrivilege:
        login, name = connection.info.user, connection.info.dbname
        raise ConfigurationError(
            f"the login {login} may not make the schema {schema} in the database {name}: "
            f"grant create on database {name} to {login}, or make the schemas for it"
        ) from None


def _let_make_temporary_tables(connection: Connection[Any], role: str) -> None:
    query = "select has_database_privilege(current_database(), 'temporary with grant option')"
    if connection.execute(query).fetchone() == (True,):
        name = connection.info.dbname
        _run(connection, "grant connect, temporary on database {} to {}", name, role)


def _hand_over(connection: Connection[Any], schema: str, role: str) -> Iterator[str]:
    """Give the role what somebody else made in its schema, such as a `dbt build` by a superuser."""
    kept = []
    for name, kind, owner, may_alter in connection.execute(
        _STRANGERS, {"schema": schema, "role": role}
    ).fetchall():
        if not may_alter:
            kept.append(f"{name or 'the schema itself'} ({owner})")
        elif kind == "schema":
            _run(connection, "alter schema {} owner to {}", schema, role)
        else:
            _run(connection, _ALTER[kind], schema, name, role)
    if kept:
        yield f"the schema {schema} has what belongs to others, not to {role}: {', '.join(kept)}"


def _let_read(
    connection: Connection[Any], schema: str, owner: str, reader: str | None
) -> Iterator[str]:
    """Let one role read what is in a schema and what will be made there, and the public nothing."""
    try:
        with connection.transaction():
            # What the owner grants does not depend on whether the login inherits from it.
            _run(connection, "set local role {}", owner)
            _run(connection, "revoke all on schema {} from public", schema)
            if reader is not None:
                _run(connection, "grant usage on schema {} to {}", schema, reader)
                _run(connection, _LATER, owner, schema, reader)
            for (table,) in connection.execute(_TABLES, [schema, owner]).fetchall():
                _run(connection, "revoke all on {}.{} from public", schema, table)
                if reader is not None:
                    _run(connection, "grant select on {}.{} to {}", schema, table, reader)
            connection.execute("reset role")
    except errors.InsufficientPrivilege as error:
        yield f"the schema {schema}: {error.diag.message_primary}"


def _run(connection: Connection[Any], statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
