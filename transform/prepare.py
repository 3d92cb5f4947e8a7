"""The Lambda function that creates schemas, roles and logins, the first step of each run.

Only this function reads the administrator's secret.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import Connection, errors, sql

from dora.aws_secrets import read_secret_object
from dora.database import Database, initialise, open_database
from dora.errors import ConfigurationError
from dora.roles import INGEST, READER, SET_TIME_ZONE, TRANSFORM
from dora.settings import Settings, load_settings
from dora.timestamps import whole_seconds

logger = logging.getLogger(__name__)


class Login(NamedTuple):
    """The login of a function, a member of one of the roles (`dora_ingest`)."""

    role: str
    name: str
    password: str


_OTHER_DATABASES = """
select
    rolname,
    string_agg(distinct datname, ', ')
from pg_shdepend
inner join pg_roles on refobjid = pg_roles.oid
inner join pg_database on dbid = pg_database.oid
where
    refclassid = 'pg_authid'::regclass
    and rolname = any(%s)
    and datname <> current_database()
group by rolname
order by rolname
"""
_OTHERS_LOGINS = """
select login.rolname
from pg_roles as login
where
    login.rolname = %s
    and not exists (
        select from pg_auth_members as membership
        inner join pg_roles as role on membership.roleid = role.oid
        where membership.member = login.oid and role.rolname = %s
    )
"""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Create missing objects and set each login's password from its secret; safe to repeat.

    So the first run after a secret changes completes its rotation. `until` in the result is
    `seconds` after `started_at`, both from the event: the state machine cannot calculate with
    timestamps.
    """
    settings = load_settings()
    logins = _logins(settings)
    database = open_database(settings)
    with database.connect() as connection:
        _expect_no_strangers(connection, database, logins)
    for note in initialise(database):
        logger.warning("%s", note)
    with database.connect() as connection:
        for login in logins:
            _make_login(connection, database.schemas.role(login.role), login)
    said = event.get("started_at")
    started_at = datetime.fromisoformat(said) if said else datetime.now(UTC)
    until = started_at + timedelta(seconds=event.get("seconds", 0))
    return {
        "status": "complete",
        "logins": [name for _, name, _ in logins],
        "until": whole_seconds(until),
    }


def _logins(settings: Settings) -> list[Login]:
    """Each function's login; raise `ConfigurationError` with every secret that lacks one."""
    arns = {
        INGEST: settings.ingest_login_secret_arn,
        TRANSFORM: settings.transform_login_secret_arn,
        READER: settings.reader_login_secret_arn,
    }
    found: list[Login] = []
    faults: list[str] = []
    for role, arn in arns.items():
        setting = f"{role.removeprefix('dora_').upper()}_LOGIN_SECRET_ARN"
        secret = (read_secret_object(arn, setting) if arn else None) or {}
        name, password = secret.get("username"), secret.get("password")
        if name and password:
            found.append(Login(role, str(name), str(password)))
        else:
            faults.append(f"{setting} {arn!r} contains no username and password")
    if faults:
        raise ConfigurationError(faults)
    return found


def _expect_no_strangers(
    connection: Connection[Any], database: Database, logins: list[Login]
) -> None:
    """Raise `ConfigurationError` for roles and logins that have another use.

    All databases of a server share them: another stage's login would get this stage's password.
    """
    schemas = database.schemas
    faults = [
        f"the role {role} has rights in the database {names} of the same server: set a "
        "different DORA_SCHEMA_PREFIX for each installation (`schema_prefix` of the stage)"
        for role, names in connection.execute(_OTHER_DATABASES, [schemas.roles])
    ]
    for login in logins:
        role = schemas.role(login.role)
        faults += [
            f"the login {name} already exists and is not in {role}: name another login in its "
            f"secret, or, to use this one, grant {role} to {name}"
            for (name,) in connection.execute(_OTHERS_LOGINS, [login.name, role])
        ]
    if faults:
        raise ConfigurationError(faults)


def _make_login(connection: Connection[Any], role: str, login: Login) -> None:
    try:
        for statement in _statements(connection, role, login):
            connection.execute(statement)
    except (errors.InsufficientPrivilege, errors.UndefinedObject) as error:
        user = connection.info.user
        raise ConfigurationError(
            f"the login {user} cannot create the login {login.name} of {role}: "
            f"{error.diag.message_primary}; allow it to create roles"
        ) from None


def _statements(connection: Connection[Any], role: str, login: Login) -> Iterator[sql.Composed]:
    _, name, password = login
    query = "select exists (select from pg_roles where rolname = %s)"
    identifier = sql.Identifier(name)
    if connection.execute(query, [name]).fetchone() == (False,):
        yield sql.SQL("create role {} login").format(identifier)
    # Send only the verifier of the password: the server's log may contain the statement.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    yield sql.SQL("alter role {} login password {}").format(identifier, sql.Literal(verifier))
    yield sql.SQL("grant {} to {}").format(sql.Identifier(role), identifier)
    yield sql.SQL(SET_TIME_ZONE).format(identifier, sql.Identifier(connection.info.dbname))
