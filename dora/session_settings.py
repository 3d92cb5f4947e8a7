"""The settings of every database session, and the supported versions and encoding."""

from collections.abc import Mapping

from psycopg import ConnectionInfo

from dora.errors import ConfigurationError

# The supported major versions of PostgreSQL; the tests run on the first and the last.
OLDEST, NEWEST = 15, 18
ENCODING = "UTF8"
# `alter database` or `alter role` may have changed each of them: results would be misread, or a
# timeout would end a build that waits for another one.
SETTINGS = {
    "datestyle": "ISO,MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "search_path": "public",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
}
_SINCE_17 = {"transaction_timeout": "0"}


def settings_for(server_version: int) -> dict[str, str]:
    """Return the settings of a session with a server of this version, such as 150020."""
    return SETTINGS | (_SINCE_17 if server_version >= 170_000 else {})


def as_options(settings: Mapping[str, str]) -> str:
    """Write settings as libpq's `options`, which apply to the whole session."""
    escaped = {name: value.replace(" ", r"\ ") for name, value in settings.items()}
    return " ".join(f"-c{name}={value}" for name, value in escaped.items())


def as_statement(settings: Mapping[str, str]) -> str:
    """Write settings as a statement that applies them until the end of the transaction."""
    calls = (f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    return f"select {', '.join(calls)}"


def expect_supported(info: ConnectionInfo) -> None:
    """Raise `ConfigurationError` unless the server's version and the encoding are supported.

    Sends no query: the server reports both when a session starts.
    """
    version = info.server_version
    if not OLDEST <= version // 10_000 <= NEWEST:
        raise ConfigurationError(
            f"PostgreSQL {version // 10_000}.{version % 10_000} is not supported:"
            f" use a version from {OLDEST} to {NEWEST}"
        )
    encoding = info.parameter_status("server_encoding")
    if encoding != ENCODING:
        raise ConfigurationError(
            f"the database {info.dbname} has the encoding {encoding}, but {ENCODING} is needed:"
            f" create database … encoding '{ENCODING}' template template0"
        )
