"""`dora db`: the configured database; the embedded one if `DB_URL` is not set."""

import os
import shlex
import shutil
from typing import Annotated

import typer

from cli.console import say, set_up_logging
from cli.demo_github import has_demo_beside, with_demo_database, with_shown_database
from dora import embedded_postgres
from dora.database import SERVICE, Database, address, initialise, open_database
from dora.embedded_postgres.location import installed_programs
from dora.errors import ConfigurationError, UnavailableError
from dora.roles import ROLES, TRANSFORM
from dora.settings import Settings, is_unconfigured, load_settings

app = typer.Typer(help="Manage the database: its schemas, its address, the embedded server.")
Demo = Annotated[bool, typer.Option("--demo", help="Use the demo organisation's database.")]


@app.command()
def init() -> None:
    """Create the schemas and roles that the configured database lacks."""
    database = prepare(_settings())
    typer.echo(f"{database} is ready; schemas: {', '.join(database.schemas.owners)}")


@app.command()
def start() -> None:
    """Start the embedded server; it runs until `dora db stop`."""
    server = embedded_postgres.start(_embedded_settings().dora_home)
    typer.echo(f"{embedded_postgres.HOST}:{server.port}")


@app.command()
def stop() -> None:
    """Stop the embedded server."""
    was_running = embedded_postgres.stop(_embedded_settings().dora_home)
    typer.echo("stopped" if was_running else "the embedded server was not running")


@app.command()
def url(demo: Demo = False) -> None:
    """Print the URL of the configured database, with its password."""
    typer.echo(address(_settings(demo)))


@app.command()
def env(
    demo: Demo = False,
    as_run: Annotated[
        bool,
        typer.Option(
            "--as-run",
            help="If nothing is configured, use the demo's database, as `dora run` does.",
        ),
    ] = False,
) -> None:
    """Print `export` lines for libpq programs and dbt, for any folder: eval "$(dora db env)"."""
    from transform.dbt_runner import environment

    if SERVICE:
        typer.echo("unset PGSERVICE")
    settings = _settings(demo)
    shown = with_shown_database(settings) if as_run else settings
    database = prepare(shown)
    if shown.db_url is None and is_unconfigured(shown) and has_demo_beside(database):
        say(
            "nothing is configured: this is your own, empty database; --demo gives the demo's",
            "yellow",
        )
    variables = database.environment(TRANSFORM) | environment(settings)
    # The shell may have them from another project.
    for name in ("DBT_PROFILE", "DBT_TARGET"):
        if name in os.environ:
            typer.echo(f"unset {name}")
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    role: Annotated[str | None, typer.Option(help="Switch to this role first.")] = None,
    demo: Demo = False,
) -> None:
    """Open psql on the configured database; further arguments go to psql."""
    settings = _settings(demo)
    database = open_database(settings)
    if role is not None:
        if role not in ROLES:
            role = role.removeprefix(database.schemas.prefix)
        if database.role_or_none(role) is None:
            raise ConfigurationError(f"--role {role}: the login of {database} cannot switch to it")
    program = _psql(is_embedded=settings.db_url is None)
    os.execve(program, [program, *context.args], os.environ | database.environment(role))


def prepare(settings: Settings) -> Database:
    """Open the configured database, create missing schemas, roles and `raw` tables, print notes.

    dlt is imported only if tables or columns of `raw` are missing.
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
    """Whether `raw` has every table and column of this release."""
    from ingest.tables import EVERY_COLUMN

    with database.connect() as connection:
        found = connection.execute(database.schemas.qualify(_RAW_COLUMNS)).fetchall()
    return set(found) >= EVERY_COLUMN


_RAW_COLUMNS = """
    select relname, attname
    from pg_attribute
    inner join pg_class on attrelid = pg_class.oid
    where relnamespace = to_regnamespace('raw') and attnum > 0 and not attisdropped
"""


def _psql(is_embedded: bool) -> str:
    """Return the psql of the embedded server, which has no TLS support, or the one on PATH."""
    try:
        bundled = shutil.which("psql", path=installed_programs())
    except UnavailableError:
        bundled = None
    on_path = shutil.which("psql")
    if found := bundled or on_path if is_embedded else on_path or bundled:
        return found
    raise ConfigurationError("psql is not on PATH: install PostgreSQL's client programs")


def _embedded_settings() -> Settings:
    settings = _settings()
    if settings.db_url is not None:
        raise ConfigurationError("DB_URL is set: unset it to start or stop the embedded server")
    return settings


def _settings(demo: bool = False) -> Settings:
    settings = load_settings()
    set_up_logging(settings.log_level)
    return with_demo_database(settings) if demo else settings
