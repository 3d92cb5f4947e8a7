"""The schemas, the three roles and what each may do."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import Connection, errors, sql

from dora.errors import ConfigurationError
from dora.ownership import Object, expect_no_strangers
from dora.schemas import INGEST, OWNERS, READER, ROLES, TRANSFORM, Schemas

if TYPE_CHECKING:
    from dora.database import Database

__all__ = [
    "INGEST",
    "OWNERS",
    "READER",
    "ROLES",
    "SET_TIME_ZONE",
    "TRANSFORM",
    "initialise",
    "may_take_on",
]

logger = logging.getLogger(__name__)

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
_ALTER: dict[str, LiteralString] = {
    "r": "alter table {}.{} owner to {}",
    "p": "alter table {}.{} owner to {}",
    "f": "alter foreign table {}.{} owner to {}",
    "v": "alter view {}.{} owner to {}",
    "m": "alter materialized view {}.{} owner to {}",
    "S": "alter sequence {}.{} owner to {}",
}
SET_TIME_ZONE: LiteralString = "alter role {} in database {} set timezone to 'UTC'"
_TABLES = """
select relname
from pg_class
where
    relnamespace = to_regnamespace(%s)
    and pg_get_userbyid(relowner) = %s
    and relkind in ('r', 'p', 'f', 'v', 'm')
order by relname
"""
# Logins that are there to read the marts and for nothing else, without a time zone of their own.
_READERS_WITHOUT_ZONE = """
select login.rolname
from pg_auth_members as membership
inner join pg_roles as login on membership.member = login.oid
where
    login.rolcanlogin
    and not login.rolsuper
    and login.rolname <> session_user
    and not exists (
        select from pg_db_role_setting
        cross join unnest(setconfig) as setting
        where
            setrole = login.oid
            and setdatabase in (
                0,
                (select oid from pg_database where datname = current_database())
            )
            and setting ilike 'timezone=%%'
    )
group by login.rolname
having array_agg(distinct membership.roleid) = array[(%s)::regrole::oid]
order by login.rolname
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
    """Make schemas and roles, with their rights, if they are missing; put right what is not.

    Safe to repeat and to run twice at once. Returns what the user should know: what the login
    was not allowed to do. Raise `ConfigurationError`, with nothing changed, if there is something
    in the schemas that is not ours, or if the login may not make them.
    """
    for attempt in range(ATTEMPTS):
        try:
            with database.connect() as connection:
                if _is_set_up(connection, database.schemas):
                    return []
                connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
                found = expect_no_strangers(connection, database)
                return list(_initialised(connection, database.schemas, found))
        except _COLLISIONS:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def _is_set_up(connection: Connection[Any], schemas: Schemas) -> bool:
    """Whether somebody else has made everything, for a login that is to have a part of it only.

    In AWS each function's login is in one of the roles.
    """
    own = [role for role in schemas.roles if may_take_on(connection, role)]
    if not 0 < len(own) < len(schemas.roles):
        return False
    query = "select nspname, pg_get_userbyid(nspowner) from pg_namespace"
    return schemas.owners.items() <= dict(connection.execute(query).fetchall()).items()


def _initialised(
    connection: Connection[Any], schemas: Schemas, found: list[Object]
) -> Iterator[str]:
    login = connection.info.user
    names = schemas.roles
    roles = {role for role in names if _has_role(connection, role)}
    if missing := [role for role in names if role not in roles]:
        yield (
            f"the login {login} may not become {', '.join(missing)} and goes on as itself: "
            "allow it to create roles, or make them and grant them to it"
        )
    for role in sorted(roles & set(schemas.owners.values())):
        yield from _let_make_temporary_tables(connection, role)
    readers = {schemas.raw: schemas.role(TRANSFORM), schemas.marts: schemas.role(READER)}
    for schema, role in schemas.owners.items():
        owner = role if role in roles else login
        _make_schema(connection, schema, owner)
        inside = [each for each in found if each.schema == schema]
        if role in roles:
            yield from _hand_over(connection, schemas, inside, role)
        reader = readers.get(schema)
        if reader is not None and not _exists(connection, reader):
            reader = None
        # What the login has besides our tables is not ours to open or close.
        named = {each.name for each in inside if each.has_name_of_ours(schemas)}
        tables = [
            table
            for (table,) in connection.execute(_TABLES, [schema, owner]).fetchall()
            if owner == role or table in named
        ]
        yield from _let_read(connection, schema, owner, reader, tables)
    if _exists(connection, schemas.role(READER)):
        yield from _set_time_zone(connection, schemas.role(READER))


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
            f"grant create on database {name} to {login}, or make it: "
            f"create schema {schema} authorization {login}"
        ) from None


def _let_make_temporary_tables(connection: Connection[Any], role: str) -> Iterator[str]:
    name = connection.info.dbname
    query = """
        select
            has_database_privilege(current_database(), 'temporary with grant option'),
            has_database_privilege(%s, current_database(), 'temporary')
    """
    may_grant, has_it = connection.execute(query, [role]).fetchone() or (False, False)
    if may_grant:
        _run(connection, "grant connect, temporary on database {} to {}", name, role)
    elif not has_it:
        yield (
            f"the login {connection.info.user} may not let {role} make temporary tables: "
            f"grant connect, temporary on database {name} to {role}"
        )


def _hand_over(
    connection: Connection[Any], schemas: Schemas, inside: list[Object], role: str
) -> Iterator[str]:
    """Give the role what the login or another made of ours, such as a `dbt build` by a superuser.

    What has another name than ours in our schemas stays whose it is.
    """
    ours = schemas.roles
    kept = []
    for each in inside:
        is_schema = each.kind == "schema"
        is_ours = is_schema or each.owner in ours or each.has_name_of_ours(schemas)
        if each.owner == role or not is_ours or not (is_schema or each.kind in _ALTER):
            continue
        if not each.may_alter:
            kept.append(str(each))
        elif is_schema:
            _run(connection, "alter schema {} owner to {}", each.schema, role)
        else:
            _run(connection, _ALTER[each.kind], each.schema, each.name, role)
    if kept:
        yield f"the login {connection.info.user} may not give to {role}: {', '.join(kept)}"


def _let_read(
    connection: Connection[Any], schema: str, owner: str, reader: str | None, tables: list[str]
) -> Iterator[str]:
    """Let one role read these tables and those made in the schema later, and the public nothing."""
    try:
        with connection.transaction():
            # What the owner grants does not depend on whether the login inherits from it.
            _run(connection, "set local role {}", owner)
            _run(connection, "revoke all on schema {} from public", schema)
            if reader is not None:
                _run(connection, "grant usage on schema {} to {}", schema, reader)
                _run(connection, _LATER, owner, schema, reader)
            for table in tables:
                _run(connection, "revoke all on {}.{} from public", schema, table)
                if reader is not None:
                    _run(connection, "grant select on {}.{} to {}", schema, table, reader)
            connection.execute("reset role")
    except errors.InsufficientPrivilege as error:
        yield f"the schema {schema}: {error.diag.message_primary}"


def _set_time_zone(connection: Connection[Any], reader: str) -> Iterator[str]:
    """Have BI tools' logins in UTC: they take the first day of a week for that day's midnight.

    East of UTC that instant is of the day before (docs/marts.md).
    """
    name = connection.info.dbname
    for (login,) in connection.execute(_READERS_WITHOUT_ZONE, [reader]).fetchall():
        try:
            with connection.transaction():
                _run(connection, SET_TIME_ZONE, login, name)
        except errors.InsufficientPrivilege:
            yield (
                f"the login {connection.info.user} may not set the time zone of {login}, whose "
                f"weeks may be a day off: alter role {login} in database {name} "
                "set timezone to 'UTC'"
            )


def _run(connection: Connection[Any], statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
