"""The configured database: its address, its sessions and roles, its errors."""

import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dora.aws_secrets import read_secret_object
from dora.errors import ConfigurationError, DoraError, UnavailableError
from dora.roles import ROLES, initialise, may_take_on
from dora.schemas import Schemas
from dora.session_settings import ENCODING, SETTINGS, as_options, expect_supported, settings_for
from dora.settings import Settings

__all__ = ["Database", "address", "initialise", "open_database"]

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5
_FORM = (
    "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    " and percent-encode all but letters and digits in the password"
)
# libpq sends these after the `options` and so would override them. Settings of a service that
# the environment names would do so too: it is treated as if the URL named it.
for _name in ("PGTZ", "PGDATESTYLE", "PGGEQO"):
    os.environ.pop(_name, None)
SERVICE = {"service": name} if (name := os.environ.pop("PGSERVICE", "")) else {}
# Cached for the life of the process: the server version by URL, and by URL and role whether the
# login may set the role and whether a warning was logged.
_versions: dict[str, int] = {}
_may: set[tuple[str, str]] = set()
_NAMES_IN_SECRETS = {
    "host": "host",
    "port": "port",
    "dbname": "dbname",
    "username": "user",
    "password": "password",
}
_told: set[tuple[str, str]] = set()
# SQLSTATE classes of transient errors: connection, transaction rollback, resources, operator.
_PASSING = ("08", "40", "53", "57P")
_UNKNOWN_PARAMETER = re.compile(r'invalid URI query parameter: "([a-z_]+)"')
# Permanent reasons to refuse a login. Only the text shows them: libpq gives no SQLSTATE for a
# failed connection. A server with messages in another language counts as unavailable.
_REFUSALS = re.compile(
    r"no password supplied"
    r"|authentication failed"
    r"|no pg_hba.conf entry"
    r"|is not permitted to log in"
    r"|permission denied for database"
    r'|(database|role) "[^"]*" does not exist'
    r"|server does not support SSL"
)


@dataclass(frozen=True)
class Database:
    """A Postgres database by its libpq URL, which contains a password and is never shown.

    If a method takes a role (`dora_reader`), the session switches to that role of this
    installation, whose name may have a prefix. If the login may not do that, it keeps its own
    rights and one warning is logged. Raise `ConfigurationError` for an invalid URL.
    """

    url: str = field(repr=False)
    schemas: Schemas = field(default_factory=Schemas)

    def __post_init__(self) -> None:
        parts = self._parts
        ports = parts["port"].split(",") if "port" in parts else []
        # A password that is not encoded makes libpq split the URL at the wrong place.
        strays = "@" in parts.get("host", "") or "@" in parts.get("dbname", "") * (
            "user" not in parts
        )
        if strays:
            raise _malformed(_FORM)
        for port in ports:
            if port and not port.isdigit():
                # Do not show it: it may be a part of the password.
                raise _malformed(_FORM)
            if port and not 0 < int(port) < 65_536:
                raise _malformed(f"port {port} is out of range (1-65535)")

    def __str__(self) -> str:
        """`HOST:PORT/DATABASE`, or the name of the service, for messages."""
        if "service" in self._parts and "host" not in self._parts:
            return f"of the service {self._parts['service']}"
        parts = self._defaults() | self._parts
        return f"{parts.get('host', 'localhost')}:{parts['port']}/{parts['dbname']}"

    def __repr__(self) -> str:
        return f"Database({self})"

    def connect(
        self, role: str | None = None, *, autocommit: bool = False, **options: Any
    ) -> psycopg.Connection[Any]:
        """Connect, with the settings of `dora.session_settings`.

        Raise `UnavailableError`, one line without the password, if that fails, and
        `ConfigurationError` if the server refuses the login, if its version or the database's
        encoding is not supported, or if a pooler does not give each client a dedicated session.

        As in psycopg, a `with` block of the connection commits at its end and closes it.
        """
        try:
            return self._open(self._session(role), autocommit=autocommit, **options)
        except psycopg.OperationalError as error:
            raise self._failed(error) from None

    def _open(self, parts: dict[str, str], **options: Any) -> psycopg.Connection[Any]:
        parts = {"connect_timeout": str(CONNECT_SECONDS), "client_encoding": ENCODING} | parts
        connection = psycopg.connect(make_conninfo(**parts), **options)
        try:
            expect_supported(connection.info)
        except ConfigurationError:
            connection.close()
            raise
        return connection

    def _failed(self, error: psycopg.Error) -> DoraError:
        """Translate a failed connection attempt for the user."""
        reason = _reason(error)
        if _REFUSALS.search(reason):
            return ConfigurationError(f"the database {self} refuses the login: {reason}")
        return UnavailableError(f"the database {self} is unavailable: {reason}")

    @contextmanager
    def session(self, role: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Connect for a block; raise its database errors as `error_of` translates them."""
        try:
            with self.connect(role) as connection:
                yield connection
        except psycopg.Error as error:
            raise error_of(error, f"the database {self}") from error

    def role_or_none(self, role: str) -> str | None:
        """The role's name in this installation; None, with one warning, if it cannot be set."""
        role = self.schemas.role(role)
        key = (self.url, role)
        if key in _may:
            return role
        with self.connect() as connection:
            login = connection.info.user
            if may_take_on(connection, role):
                _may.add(key)
                return role
        if key not in _told:
            _told.add(key)
            logger.warning(
                "the login %s cannot switch to %s and continues with its own rights", login, role
            )
        return None

    def expect_no_roles(self) -> None:
        """Log no warning about roles that the login cannot set: the user has seen one."""
        _told.update((self.url, self.schemas.role(role)) for role in ROLES)

    def conninfo(self, role: str | None, **defaults: str) -> str:
        """The conninfo that gives psycopg2, which dlt uses, a session like those of `connect`.

        `defaults` apply to parameters that the URL lacks.
        """
        return make_conninfo(**{"client_encoding": ENCODING} | defaults | self._session(role))

    def options(self, role: str | None) -> str:
        """The `options` in `conninfo`: the settings and the role of the session."""
        return self._session(role)["options"]

    def conninfo_without_session(self) -> str:
        """The conninfo without session settings, which a transaction pooler would reject."""
        return make_conninfo(**{"client_encoding": ENCODING, "options": ""} | self._parts)

    def environment(self, role: str | None = None) -> dict[str, str]:
        """The environment with which dbt and libpq programs, such as psql, connect the same way.

        Without `PGSERVICE`: the settings in its file, which are included, would override others.
        """
        with self.connect(role) as connection:
            # The values that libpq chose among several hosts or in a service file: dbt needs them.
            info = connection.info
            settled = {"host": info.host, "port": str(info.port), "dbname": info.dbname}
            settled |= {"user": info.user, "password": info.password}
            parts = info.get_parameters()
        # psycopg resolved it from the host's name, which may resolve differently later.
        parts.pop("hostaddr", None)
        parts = self._parts | parts | settled
        parts.pop("service", None)
        libpq = {
            option.envvar.decode(): parts[name]
            for option in pq.Conninfo.get_defaults()
            if option.envvar and (name := option.keyword.decode()) in parts
        }
        return libpq | {"DORA_SCHEMA_PREFIX": self.schemas.prefix}

    @cached_property
    def _parts(self) -> dict[str, str]:
        try:
            given = conninfo_to_dict(self.url)
        except psycopg.ProgrammingError as error:
            # libpq's other messages quote the text it could not parse: perhaps the password.
            unknown = _UNKNOWN_PARAMETER.search(str(error))
            if "@" in self.url.rpartition("?")[2]:
                unknown = None
            what = f"the parameter {unknown[1]} is not known" if unknown else _FORM
            raise _malformed(what) from None
        return SERVICE | {name: str(value) for name, value in given.items()}

    def _session(self, role: str | None) -> dict[str, str]:
        """The parts of the URL with the settings and the role of a new session.

        The shell's PGOPTIONS are ignored: after `eval "$(dora db env)"` they contain a role.
        """
        options = self._options(settings_for(self._version()))
        if role is not None and (name := self.role_or_none(role)) is not None:
            options += f" -crole={name}"
        return self._parts | {"options": options}

    def _options(self, settings: dict[str, str]) -> str:
        return f"{as_options(settings)} {self._parts.get('options', '')}".rstrip()

    def _version(self) -> int:
        """The server's version; the first call also checks that it provides sessions."""
        if self.url not in _versions:
            _versions[self.url] = self._examine()
        return _versions[self.url]

    def _examine(self) -> int:
        """Return the server's version; raise `ConfigurationError` if sessions are not dedicated.

        A pooler that passes a server connection from client to client rejects `options`, drops
        them, or shows one client those of another. The check leaves no state on its connections.
        """
        with closing(self._open_marked()) as first, closing(self._open_marked()):
            return first.info.server_version

    def _open_marked(self, *, again: bool = True) -> psycopg.Connection[Any]:
        mark = secrets.token_hex(8)
        parts = self._parts | {"options": self._options({**SETTINGS, "dora.session": mark})}
        try:
            connection = self._open(parts, autocommit=True)
        except psycopg.OperationalError as error:
            if isinstance(error, errors.ConnectionTimeout):
                raise self._failed(error) from None
            # A pooler may reject the options before it checks the password.
            if (refusal := self._refusal_without_options()) is not None:
                raise self._failed(refusal) from None
            if again:
                # The pooler may have been full or still starting.
                return self._open_marked(again=False)
            raise self._no_session(_reason(error)) from None
        query = "select current_setting('dora.session', true)"
        if connection.execute(query).fetchone() != (mark,):
            connection.close()
            raise self._no_session("session settings were lost")
        return connection

    def _refusal_without_options(self) -> psycopg.OperationalError | None:
        """The error of a session without options; None if it opens."""
        try:
            self._open(self._parts | {"options": ""}).close()
        except psycopg.OperationalError as error:
            return error
        return None

    def _no_session(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"this needs a dedicated session, but the database {self} does not give one ({reason}):"
            " connect to Postgres directly, not through a pooler in transaction mode"
        )

    def _defaults(self) -> dict[str, str]:
        given = {
            option.keyword.decode(): option.val.decode()
            for option in pq.Conninfo.get_defaults()
            if option.val is not None
        }
        return {"dbname": self._parts.get("user", given.get("user", "")), **given}


def open_database(settings: Settings) -> Database:
    """Open the configured database, or start the embedded one; raise what `connect` raises."""
    database = Database(address(settings), Schemas(settings.dora_schema_prefix))
    database.connect().close()
    return database


def _address_from_secret(arn: str) -> str:
    """The URL from a secret in the format of RDS; `PG…` variables supply missing parts."""
    found = read_secret_object(arn, "DB_SECRET_ARN") or {}
    parts = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.get_defaults()
        if option.val is not None and option.keyword.decode() in _NAMES_IN_SECRETS.values()
    }
    parts |= {name: str(found[key]) for key, name in _NAMES_IN_SECRETS.items() if found.get(key)}
    if missing := [name for name in ("host", "user", "password") if not parts.get(name)]:
        raise ConfigurationError(
            f"DB_SECRET_ARN {arn!r} lacks {', '.join(missing)}, and so do the PG… variables"
        )
    user, password, host = (quote(parts[name], safe="") for name in ("user", "password", "host"))
    where = f"{host}:{parts['port']}/{quote(parts.get('dbname', ''), safe='')}"
    return f"postgresql://{user}:{password}@{where}"


def address(settings: Settings) -> str:
    """The URL of the configured database; starts the embedded one, does not connect to another."""
    if settings.db_secret_arn is not None:
        return _address_from_secret(settings.db_secret_arn)
    if settings.db_url is not None:
        return settings.db_url.get_secret_value()
    # Only a laptop has the embedded server installed.
    from dora import embedded_postgres

    return embedded_postgres.start(settings.dora_home).url()


def may_pass(sqlstate: str | None) -> bool:
    """Whether an error with this SQLSTATE is transient; None means that no server answered."""
    return sqlstate is None or sqlstate.startswith(_PASSING)


def error_of(error: psycopg.Error, database: str = "the database") -> DoraError:
    """Translate a database error for the user: unavailable if it is transient."""
    if may_pass(error.sqlstate):
        return UnavailableError(f"{database} is unavailable: {_reason(error)}")
    return ConfigurationError(f"{database} reported an error: {_reason(error)}")


def _malformed(what: str) -> ConfigurationError:
    return ConfigurationError(f"DB_URL is not a valid Postgres URL: {what}")


def _reason(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].removeprefix("connection failed: ") if lines else "no reason given"
