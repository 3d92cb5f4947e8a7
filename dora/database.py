"""The configured database: its address, as whichever role its login may take on."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from dora.errors import ConfigurationError, UnavailableError
from dora.roles import ROLES, initialise, may_take_on
from dora.secrets import read_secret_object
from dora.settings import Settings

__all__ = ["Database", "address", "initialise", "open_database"]

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5
_MALFORMED = (
    "DB_URL is no Postgres URL that can be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    " and percent-encode what is not a letter or a digit in the password"
)
# By URL and role, for the life of the process: what was found out, what was said already.
_may: set[tuple[str, str]] = set()
_NAMES_IN_SECRETS = {
    "host": "host",
    "port": "port",
    "dbname": "dbname",
    "username": "user",
    "password": "password",
}
_told: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Database:
    """A Postgres database by its libpq URL, which holds a password and is never shown.

    Where a method takes a role, the session takes it on if the login may; otherwise it goes on as
    the login itself, which is said once. Raise `ConfigurationError` for a URL that is none.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        parts = self._parts
        ports = parts["port"].split(",") if "port" in parts else []
        # Where a password that is not encoded ends up, as it makes libpq cut at the wrong place.
        strays = "@" in parts.get("host", "") or "@" in parts.get("dbname", "") * (
            "user" not in parts
        )
        if strays or not all(port.isdigit() and 0 < int(port) < 65_536 for port in ports if port):
            raise ConfigurationError(_MALFORMED)

    def __str__(self) -> str:
        """`HOST:PORT/DATABASE`, for messages."""
        parts = self._defaults() | self._parts
        return f"{parts.get('host', 'localhost')}:{parts['port']}/{parts['dbname']}"

    def __repr__(self) -> str:
        return f"Database({self})"

    def connect(
        self, role: str | None = None, *, autocommit: bool = False, **options: Any
    ) -> psycopg.Connection[Any]:
        """Connect; raise `UnavailableError`, one line without the password, where that fails.

        As psycopg has it, a `with` block of the connection commits at its end and closes it.
        """
        if "connect_timeout" not in self._parts:
            options = {"connect_timeout": CONNECT_SECONDS} | options
        try:
            return psycopg.connect(self.url_for(role), autocommit=autocommit, **options)
        except psycopg.OperationalError as error:
            raise UnavailableError(
                f"the database {self} is out of reach: {_reason(error)}"
            ) from None

    @contextmanager
    def session(self, role: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Connect for a block; raise `UnavailableError` where the database goes away in it."""
        try:
            with self.connect(role) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise UnavailableError(f"the database {self} went away: {_reason(error)}") from error

    def role_or_none(self, role: str) -> str | None:
        """The role, if the login may take it on; None says so once."""
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
        _told.update((self.url, role) for role in ROLES)

    def url_for(self, role: str | None) -> str:
        """The URL of a session that has the role from its start; for psycopg, psycopg2 and dlt."""
        return _url(self._session(role))

    def environment(self, role: str | None = None) -> dict[str, str]:
        """The `PG…` variables that lead a libpq program, such as psql or dbt, to the same place."""
        with self.connect() as connection:
            # What libpq settled on, of several hosts or a service file: dbt asks for each.
            info = connection.info
            settled = {"host": info.host, "port": str(info.port), "dbname": info.dbname}
            settled |= {"user": info.user, "password": info.password}
        parts = self._session(role) | settled
        return {
            option.envvar.decode(): parts[name]
            for option in pq.Conninfo.get_defaults()
            if option.envvar and (name := option.keyword.decode()) in parts
        }

    @cached_property
    def _parts(self) -> dict[str, str]:
        try:
            return {name: str(value) for name, value in conninfo_to_dict(self.url).items()}
        except psycopg.ProgrammingError:
            # libpq's own message quotes what it could not read, which may be the password.
            raise ConfigurationError(_MALFORMED) from None

    def _session(self, role: str | None) -> dict[str, str]:
        if role is not None and self.role_or_none(role) is not None:
            # Without a space of its own: as `+` or `%20` it would not survive every URL library.
            options = f"{self._parts.get('options', '')} -crole={role}".strip()
            return self._parts | {"options": options}
        # After `eval "$(dora db env)"` the shell's has a role that is not meant here.
        return ({"options": ""} if "PGOPTIONS" in os.environ else {}) | self._parts

    def _defaults(self) -> dict[str, str]:
        given = {
            option.keyword.decode(): option.val.decode()
            for option in pq.Conninfo.get_defaults()
            if option.val is not None
        }
        return {"dbname": self._parts.get("user", given.get("user", "")), **given}


def open_database(settings: Settings) -> Database:
    """The database of `DB_URL`, or the embedded one, started; raise `UnavailableError` if away."""
    database = Database(address(settings))
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
    return _url(parts)


def address(settings: Settings) -> str:
    """The URL of the configured database; starts the embedded one, connects to no other."""
    if settings.db_secret_arn is not None:
        return _address_from_secret(settings.db_secret_arn)
    if settings.db_url is not None:
        return settings.db_url.get_secret_value()
    # Only a laptop has the embedded server installed.
    from dora import embedded

    return embedded.start(settings.dora_home).url()


def _reason(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].removeprefix("connection failed: ") if lines else "no reason given"


def _url(parts: dict[str, str]) -> str:
    """Write a libpq URL; a list of hosts or a socket's folder goes behind the question mark."""
    rest = dict(parts)
    user, password = rest.pop("user", ""), rest.pop("password", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    where = ""
    if not set(rest.get("host", "")) & {"/", ",", "@"}:
        host, port = rest.pop("host", ""), rest.pop("port", "")
        where = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    name = quote(rest.pop("dbname", ""), safe="")
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in rest.items())
    return f"postgresql://{login}{'@' if login else ''}{where}/{name}" + f"?{query}" * bool(query)
