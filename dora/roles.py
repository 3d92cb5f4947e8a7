"""Create the schemas and the three roles, and grant the roles their rights."""

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
# Any number that nothing else in this database uses as a lock: an ingest run has another one.
_LOCK = 0x646F7262
# Another database of the cluster is initialised at the same time: they share the roles.
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
# Logins whose only role is the reader and for which no time zone is set.
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
    """Whether the login may `set role`; False also if the role does not exist."""
    # PostgreSQL 16 separated "is a member" from "may set the role".
    privilege = "SET" if connection.info.server_version >= 160_000 else "MEMBER"
    query = "select pg_has_role(session_user, oid, %s) from pg_roles where rolname = %s"
    return connection.execute(query, [privilege, role]).fetchone() == (True,)


def initialise(database: "Database") -> list[str]:
    """Create missing schemas and roles, and correct owners and rights.

    Safe to repeat and to run twice at once. Returns notes for the user about steps that the login
    was not allowed to take. Raise `ConfigurationError`, with nothing changed, if others use these
    schemas or if the login may not create them.
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
    """Whether all schemas have their owners and the login may set some of the roles, but not all.

    In AWS each function's login has one of the roles.
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
            f"the login {login} cannot switch to {', '.join(missing)} and continues with its own "
            "rights: allow it to create roles, or create these roles and grant them to it"
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
        # The rights on other tables of the login are not ours to change.
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
    """Create the role and grant it to the login if needed; return whether the login may set it."""
    if may_take_on(connection, role):
        return True
    try:
        # A savepoint: a denied statement does not abort the transaction.
        with connection.transaction():
            if not _exists(connection, role):
                _run(connection, "create role {}", role)
            # Since PostgreSQL 16, the creator of a role may set it only after granting it.
            if not may_take_on(connection, role):
                _run(connection, "grant {} to {}", role, connection.info.user)
    except errors.InsufficientPrivilege as error:
        logger.debug("role %s: %s", role, error.diag.message_primary)
    return may_take_on(connection, role)


def _exists(connection: Connection[Any], role: str) -> bool:
    query = "select exists (select from pg_roles where rolname = %s)"
    return connection.execute(query, [role]).fetchone() == (True,)


def _make_schema(connection: Connection[Any], schema: str, owner: str) -> None:
    # Checked first: `if not exists` needs the right to create even if the schema exists.
    query = "select exists (select from pg_namespace where nspname = %s)"
    if connection.execute(query, [schema]).fetchone() == (True,):
        return
    try:
        _run(connection, "create schema {} authorization {}", schema, owner)
    except errors.InsufficientPrivilege:
        login, name = connection.info.user, connection.info.dbname
        raise ConfigurationError(
            f"the login {login} cannot create the schema {schema} in the database {name}: "
            f"grant create on database {name} to {login}, or create the schema: "
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
            f"the login {connection.info.user} cannot let {role} create temporary tables: "
            f"grant connect, temporary on database {name} to {role}"
        )


def _hand_over(
    connection: Connection[Any], schemas: Schemas, inside: list[Object], role: str
) -> Iterator[str]:
    """Make the role the owner of our objects, such as those of a `dbt build` by a superuser.

    Objects in our schemas with other names keep their owner.
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
        yield f"the login {connection.info.user} cannot make {role} the owner of {', '.join(kept)}"


def _let_read(
    connection: Connection[Any], schema: str, owner: str, reader: str | None, tables: list[str]
) -> Iterator[str]:
    """Let one role read these tables and later ones in the schema; revoke all from the public."""
    try:
        with connection.transaction():
            # As the owner, because the login might not inherit the owner's rights.
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
    """Set the time zone of BI tools' logins to UTC: they read a week as midnight of its first day.

    East of UTC that instant is on the day before (docs/marts.md).
    """
    name = connection.info.dbname
    for (login,) in connection.execute(_READERS_WITHOUT_ZONE, [reader]).fetchall():
        try:
            with connection.transaction():
                _run(connection, SET_TIME_ZONE, login, name)
        except errors.InsufficientPrivilege:
            yield (
                f"the login {connection.info.user} cannot set the time zone of {login}, so its "
                f"weeks may be a day off: alter role {login} in database {name} "
                "set timezone to 'UTC'"
            )


def _run(connection: Connection[Any], statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
