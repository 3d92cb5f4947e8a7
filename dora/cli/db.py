"""`dora db`: the configured database; the embedded one where `DB_URL` is not set."""

import os
import shlex
import shutil
from typing import Annotated

import typer

from dora import embedded
from dora.cli.console import out, say, set_up_logging
from dora.database import Database, address, initialise, open_database
from dora.errors import ConfigurationError, UnavailableError
from dora.place import installed_programs
from dora.roles import OWNERS, TRANSFORM
from dora.settings import Settings, load_settings

app = typer.Typer(help="The database: its schemas, its address, the embedded server.")


@app.command()
def init() -> None:
    """Make the schemas and roles of the configured database where they are missing."""
    database = prepare(_settings())
    out.print(f"{database}: schemas {', '.join(OWNERS)}", soft_wrap=True)


@app.command()
def start() -> None:
    """Start the embedded server, unless it runs; it goes on running."""
    server = embedded.start(_embedded_settings().dora_home)
    out.print(f"{embedded.HOST}:{server.port}")


@app.command()
def stop() -> None:
    """Stop the embedded server."""
    was_running = embedded.stop(_embedded_settings().dora_home)
    out.print("stopped" if was_running else "it was not running")


@app.command()
def url() -> None:
    """Print the URL of the configured database, with its password."""
    out.print(address(_settings()), soft_wrap=True, markup=False)


@app.command()
def env() -> None:
    """Print `export PG…` lines, for dbt and libpq's programs: eval "$(dora db env)"."""
    for name, value in prepare(_settings()).environment(TRANSFORM).items():
        out.print(f"export {name}={shlex.quote(value)}", soft_wrap=True, markup=False)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    role: Annotated[
        str | None, typer.Option(help="Take on this role, such as dora_reader.")
    ] = None,
) -> None:
    """Open psql on the configured database; what follows is handed to it."""
    database = open_database(_settings())
    program = _psql()
    os.execve(program, [program, *context.args], os.environ | database.environment(role))


def prepare(settings: Settings) -> Database:
    """Open the configured database and make in it what is missing; say what could not be made."""
    database = open_database(settings)
    for note in initialise(database):
        say(note, "yellow")
    return database


def _psql() -> str:
    try:
        bundled = installed_programs() / "psql"
    except UnavailableError:
        bundled = None
    if bundled is not None and bundled.exists():
        return str(bundled)
    if found := shutil.which("psql"):
        return found
    raise ConfigurationError("there is no psql on PATH: install PostgreSQL's client programs")


def _embedded_settings() -> Settings:
    settings = _settings()
    if settings.db_url is not None:
        raise ConfigurationError(
            "DB_URL is set: the database it leads to is not dora's to start or stop"
        )
    return settings


def _settings() -> Settings:
    settings = load_settings()
    set_up_logging(settings.log_level)
    return settings
