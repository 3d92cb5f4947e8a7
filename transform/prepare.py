"""The Lambda function that makes schemas, roles and logins.

It alone reads the administrator's secret.
"""

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection, sql

from dora.database import initialise, open_database
from dora.errors import ConfigurationError
from dora.roles import INGEST, READER, TRANSFORM
from dora.secrets import read_secret_object
from dora.settings import Settings, load_settings

# Half an hour before the next schedule, for the transform.
LONGEST_RUN = timedelta(hours=3, minutes=30)
logger = logging.getLogger(__name__)
logging.getLogger().setLevel(os.environ.get("LOG_LEVEL", "INFO"))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Make what is missing and give each login its secret's password; safe to repeat.

    The answer's `until` is when a run that began at the event's `started_at` should wait no more.
    So the next run after a secret has got a new password is the end of its rotation.
    """
    settings = load_settings()
    logins = list(_logins(settings))
    database = open_database(settings)
    for note in initialise(database):
        logger.warning("%s", note)
    with database.connect() as connection:
        for role, login, password in logins:
            _make_login(connection, role, login, password)
    started_at = datetime.fromisoformat(event.get("started_at") or datetime.now(UTC).isoformat())
    return {
        "status": "complete",
        "logins": [login for _, login, _ in logins],
        "until": (started_at + LONGEST_RUN).isoformat(),
    }


def _logins(settings: Settings) -> list[tuple[str, str, str]]:
    """Each function's role, with the name and the password in its secret."""
    arns = {
        INGEST: settings.ingest_login_secret_arn,
        TRANSFORM: settings.transform_login_secret_arn,
        READER: settings.reader_login_secret_arn,
    }
    found = []
    for role, arn in arns.items():
        setting = f"{role.removeprefix('dora_').upper()}_LOGIN_SECRET_ARN"
        secret = read_secret_object(arn, setting) if arn else None
        if not secret or not secret.get("username") or not secret.get("password"):
            raise ConfigurationError(f"{setting} {arn!r} holds no username and password")
        found.append((role, str(secret["username"]), str(secret["password"])))
    return found


def _make_login(connection: Connection[Any], role: str, login: str, password: str) -> None:
    query = "select exists (select from pg_roles where rolname = %s)"
    name = sql.Identifier(login)
    if connection.execute(query, [login]).fetchone() == (False,):
        connection.execute(sql.SQL("create role {} login").format(name))
    # Only what proves the password goes to the server, whose log may hold the statement.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), login.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL("alter role {} login password {}").format(name, sql.Literal(verifier))
    )
    connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), name))
