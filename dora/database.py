"""The configured database: its address, as whichever role its login may take on."""

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
    " and percent-encode what is not a letter or a digit in the password"
)
# libpq sends these after the `options`, over which they would win, as would those of a service
# that the environment names: it is as if the URL named it.
for _name in ("PGTZ", "PGDATESTYLE", "PGGEQO"):
    os.environ.pop(_name, None)
SERVICE = {"service": name} if (name := os.environ.pop("PGSERVICE", "")) else {}
# For the life of the process: a server's version by the URL, and by URL and role what was found
# out, what was said already.
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
# Connections, collisions of transactions, resources, operators.
_PASSING = ("08", "40", "53", "57P")
_UNKNOWN_PARAMETER = re.compile(r'invalid URI query parameter: "([a-z_]+)"')
# Why a server refuses a login for good. Only the text tells: libpq gives no SQLSTATE for an attempt
# to connect. A server that speaks another language counts as unavailable.
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
    """A Postgres database by its libpq URL, which holds a password and is never shown.

    If a method takes a role (`dora_reader`), the session takes on that role of this installation,
    whose name may have a prefix, if the login may; otherwise it goes on as the login itself, which
    is said once. Raise `ConfigurationError` for a URL that is none.
    """

    url: str = field(repr=False)
    schemas: Schemas = field(default_factory=Schemas)

    def __post_init__(self) -> None:
        parts = self._parts
        ports = parts["port"].split(",") if "port" in parts else []
        # Where a password that is not encoded ends up, as it makes libpq cut at the wrong place.
        strays = "@" in parts.get("host", "") or "@" in parts.get("dbname", "") * (
            "user" not in parts
        )
        if strays:
            raise _malformed(_FORM)
        for port in ports:
            if port and not port.isdigit():
                # A part of a password, perhaps.
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
        encoding is not supported, or if a pooler gives clients no session of their own.

        As psycopg has it, a `with` block of the connection commits at its end and closes it.
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
        """Return what to tell a user of an attempt to connect that failed."""
        reason = _reason(error)
        if _REFUSALS.search(reason):
            return ConfigurationError(f"the database {self} refuses the login: {reason}")
        return UnavailableError(f"the database {self} is unavailable: {reason}")

    @contextmanager
    def session(self, role: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Connect for a block; raise what `error_of` makes of the database's errors in it."""
        try:
            with self.connect(role) as connection:
                yield connection
        except psycopg.Error as error:
            raise error_of(error, f"the database {self}") from error

    def role_or_none(self, role: str) -> str | None:
        """The role's name here, if the login may take it on; None says so once."""
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
            logger.warning("%s may not become %s and goes on as itself", login, role)
        return None

    def expect_no_roles(self) -> None:
        """Say no more that the login goes on as itself: the user has been told."""
        _told.update((self.url, self.schemas.role(role)) for role in ROLES)

    def conninfo(self, role: str | None, **defaults: str) -> str:
        """What leads psycopg2, which dlt uses, to a session like those of `connect`.

        `defaults` are for what the URL does not say.
        """
        return make_conninfo(**{"client_encoding": ENCODING} | defaults | self._session(role))

    def options(self, role: str | None) -> str:
        """What is in `conninfo` as libpq's `options`: the session's settings and its role."""
        return self._session(role)["options"]

    def conninfo_without_session(self) -> str:
        """What leads psycopg there without settings, as a transaction pooler wants it."""
        return make_conninfo(**{"client_encoding": ENCODING, "options": ""} | self._parts)

    def environment(self, role: str | None = None) -> dict[str, str]:
        """The variables that lead a libpq program, such as psql, and dbt to the same place.

        All but `PGSERVICE`: what its file says, which is among them, would win over the others.
        """
        with self.connect(role) as connection:
            # What libpq settled on, of several hosts or a service file: dbt asks for each.
            info = connection.info
            settled = {"host": info.host, "port": str(info.port), "dbname": info.dbname}
            settled |= {"user": info.user, "password": info.password}
            parts = info.get_parameters()
        # psycopg found it for the host's name, which may lead elsewhere tomorrow.
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
            # Other messages of libpq's quote what it could not read, which may be the password.
            unknown = _UNKNOWN_PARAMETER.search(str(error))
            if "@" in self.url.rpartition("?")[2]:
                unknown = None
            what = f"the parameter {unknown[1]} is not known" if unknown else _FORM
            raise _malformed(what) from None
        return SERVICE | {name: str(value) for name, value in given.items()}

    def _session(self, role: str | None) -> dict[str, str]:
        """The parts of the URL with the settings, and the role, that a session begins with.

        Those of the shell's PGOPTIONS are left out: after `eval "$(dora db env)"` there is a role
        among them.
        """
        options = self._options(settings_for(self._version()))
        if role is not None and (name := self.role_or_none(role)) is not None:
            options += f" -crole={name}"
        return self._parts | {"options": options}

    def _options(self, settings: dict[str, str]) -> str:
        return f"{as_options(settings)} {self._parts.get('options', '')}".rstrip()

    def _version(self) -> int:
        """The server's version; found out once, with what else a session needs."""
        if self.url not in _versions:
            _versions[self.url] = self._examine()
        return _versions[self.url]

    def _examine(self) -> int:
        """Return the server's version; raise `ConfigurationError` if sessions are not our own.

        A pooler that hands a server's connection from client to client refuses `options`, or drops
        them, or shows one client those of another. Nothing is left on a connection that it keeps.
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
            # A pooler may refuse the options before it looks at the password.
            if (refusal := self._refusal_without_options()) is not None:
                raise self._failed(refusal) from None
            if again:
                # It may have been full, or only just starting.
                return self._open_marked(again=False)
            raise self._no_session(_reason(error)) from None
        query = "select current_setting('dora.session', true)"
        if connection.execute(query).fetchone() != (mark,):
            connection.close()
            raise self._no_session("its settings were lost")
        return connection

    def _refusal_without_options(self) -> psycopg.OperationalError | None:
        """Why a session does not open without options either; None if it does."""
        try:
            self._open(self._parts | {"options": ""}).close()
        except psycopg.OperationalError as error:
            return error
        return None

    def _no_session(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"this needs a session of its own, which the database {self} does not give ({reason}):"
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
    """The database of `DB_URL`, or the embedded one, started; raise `UnavailableError` if away."""
    database = Database(address(settings), Schemas(settings.dora_schema_prefix))
    database.connect().close()
    return database


def _address_from_secret(arn: str) -> str:
    """The URL from a secret as RDS keeps it, with user and password; `PG…` gives what it lacks."""
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
    """The URL of the configured database; starts the embedded one, connects to no other."""
    if settings.db_secret_arn is not None:
        return _address_from_secret(settings.db_secret_arn)
    if settings.db_url is not None:
        return settings.db_url.get_secret_value()
    # Only a laptop has the embedded server installed.
    from dora import embedded_postgres

    return embedded_postgres.start(settings.dora_home).url()


def may_pass(sqlstate: str | None) -> bool:
    """Whether an error of this SQLSTATE may be gone at the next attempt; None: nobody answered."""
    return sqlstate is None or sqlstate.startswith(_PASSING)


def error_of(error: psycopg.Error, database: str = "the database") -> DoraError:
    """Return what to tell a user of a database's error: it went away, or it refuses."""
    if may_pass(error.sqlstate):
        return UnavailableError(f"{database} went away: {_reason(error)}")
    return ConfigurationError(f"{database} refuses: {_reason(error)}")


def _malformed(what: str) -> ConfigurationError:
    return ConfigurationError(f"DB_URL is not a valid Postgres URL: {what}")


def _reason(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].removeprefix("connection failed: ") if lines else "no reason given"
