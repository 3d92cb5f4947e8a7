"""`dora db`: the configured database; the embedded one where `DB_URL` is not set."""

import os
import shlex
import shutil
from typing import Annotated

import typer

from dora import embedded
from dora.cli.console import say, set_up_logging
from dora.database import Database, address, initialise, open_database
from dora.demo import with_demo_database
from dora.errors import ConfigurationError, UnavailableError
from dora.place import installed_programs
from dora.roles import OWNERS, TRANSFORM
from dora.settings import Settings, load_settings

app = typer.Typer(help="The database: its schemas, its address, the embedded server.")
Demo = Annotated[bool, typer.Option("--demo", help="The demo organisation's database.")]


@app.command()
def init() -> None:
    """Make the schemas and roles of the configured database where they are missing."""
    database = prepare(_settings())
    typer.echo(f"{database}: schemas {', '.join(OWNERS)}")


@app.command()
def start() -> None:
    """Start the embedded server, unless it runs; it goes on running."""
    server = embedded.start(_embedded_settings().dora_home)
    typer.echo(f"{embedded.HOST}:{server.port}")


@app.command()
def stop() -> None:
    """Stop the embedded server."""
    was_running = embedded.stop(_embedded_settings().dora_home)
    typer.echo("stopped" if was_running else "it was not running")


@app.command()
def url(demo: Demo = False) -> None:
    """Print the URL of the configured database, with its password."""
    typer.echo(address(_settings(demo)))


@app.command()
def env(demo: Demo = False) -> None:
    """Print `export PG…` lines, for dbt and libpq's programs: eval "$(dora db env)"."""
    for name, value in prepare(_settings(demo)).environment(TRANSFORM).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    role: Annotated[str | None, typer.Option(help="Become this role first.")] = None,
    demo: Demo = False,
) -> None:
    """Open psql on the configured database; what follows is handed to it."""
    database = open_database(_settings(demo))
    if role is not None and database.role_or_none(role) is None:
        raise ConfigurationError(f"--role {role}: the login of {database} may not become that")
    program = _psql()
    os.execve(program, [program, *context.args], os.environ | database.environment(role))


def prepare(settings: Settings) -> Database:
    """Open the configured database and make in it what is missing; say what could not be made.

    The tables of `raw` too: dlt is imported only where they are not there yet.
    """
    database = open_database(settings)
    if notes := initialise(database):
        database.expect_no_roles()
        for note in notes:
            say(note, "yellow")
    if not _has_raw_tables(database):
        from ingest.pipeline import make_tables

        make_tables(database, settings.dora_home)
    return database


def _has_raw_tables(database: Database) -> bool:
    with database.connect() as connection:
        found = connection.execute("select to_regclass('raw.pull_requests') is not null")
        return found.fetchone() == (True,)


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
        raise ConfigurationError("DB_URL is set: its server is not this command's to start or stop")
    return settings


def _settings(demo: bool = False) -> Settings:
    settings = load_settings()
    set_up_logging(settings.log_level)
    return with_demo_database(settings) if demo else settings
