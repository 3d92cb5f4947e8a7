"""The Lambda function that makes schemas, roles and logins, the first step of each run.

It alone reads the administrator's secret.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection, errors, sql

from dora.database import initialise, open_database
from dora.errors import ConfigurationError
from dora.instants import whole_seconds
from dora.roles import INGEST, READER, TRANSFORM
from dora.secrets import read_secret_object
from dora.settings import Settings, load_settings

logger = logging.getLogger(__name__)

Login = tuple[str, str, str]
"""A role, the name of the login that is in it, and that login's password."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Make what is missing and give each login its secret's password; safe to repeat.

    So the run after a secret has got a new password is the end of its rotation. The answer's
    `until` is the instant `seconds` after `started_at`, both of the event: what can do arithmetic
    with instants is here, and the state machine is not it.
    """
    settings = load_settings()
    logins = _logins(settings)
    database = open_database(settings)
    for note in initialise(database):
        logger.warning("%s", note)
    with database.connect() as connection:
        for login in logins:
            _make_login(connection, login)
    said = event.get("started_at")
    started_at = datetime.fromisoformat(said) if said else datetime.now(UTC)
    until = started_at + timedelta(seconds=event.get("seconds", 0))
    return {
        "status": "complete",
        "logins": [name for _, name, _ in logins],
        "until": whole_seconds(until),
    }


def _logins(settings: Settings) -> list[Login]:
    """Each function's login; raise `ConfigurationError` with all that lack one."""
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
            found.append((role, str(name), str(password)))
        else:
            faults.append(f"{setting} {arn!r} holds no username and password")
    if faults:
        raise ConfigurationError(faults)
    return found


def _make_login(connection: Connection[Any], login: Login) -> None:
    role, name, _ = login
    try:
        for statement in _statements(connection, login):
            connection.execute(statement)
    except (errors.InsufficientPrivilege, errors.UndefinedObject) as error:
        user = connection.info.user
        raise ConfigurationError(
            f"the login {user} may not make the login {name} of {role}: "
            f"{error.diag.message_primary}; allow it to create roles"
        ) from None


def _statements(connection: Connection[Any], login: Login) -> Iterator[sql.Composed]:
    role, name, password = login
    query = "select exists (select from pg_roles where rolname = %s)"
    identifier = sql.Identifier(name)
    if connection.execute(query, [name]).fetchone() == (False,):
        yield sql.SQL("create role {} login").format(identifier)
    # Only what proves the password goes to the server, whose log may hold the statement.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    yield sql.SQL("alter role {} login password {}").format(identifier, sql.Literal(verifier))
    yield sql.SQL("grant {} to {}").format(sql.Identifier(role), identifier)
