"""`dora digest`: changes, slow and open pull requests, printed or sent once a week."""

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import out, say, set_up_logging, tell
from cli.demo_github import with_demo_database
from dora.database import Database, open_database
from dora.errors import ConfigurationError, DoraError
from dora.roles import READER
from dora.settings import Settings, load_settings

if TYPE_CHECKING:
    from cli.digest_content import Digest
    from cli.digest_destinations import Destination
    from cli.digest_rendering import Format

FORMATS = ("text", "markdown", "slack", "html")
PARTLY = 1


def digest(
    team: Annotated[
        str, typer.Option("--team", metavar="ID", help="A team or a group; default: all teams.")
    ] = "all",
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="Without --to: print in this format and send nothing. Default: text, or what each "
            "destination shows best.",
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="URL",
            help="Send it to this Apprise URL (may be repeated). Other users of this machine can "
            "see a command's arguments: DIGEST_TO is safer.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Send it even if it was sent for this week.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Print the demo organisation's.")] = False,
) -> None:
    """Print the digest of the last whole week; with --to or DIGEST_TO, send it, once a week."""
    from cli.digest_destinations import configured_destinations, parse_destinations
    from cli.digest_rendering import Format, render

    settings = load_settings()
    set_up_logging(settings.log_level)
    if form is not None and form not in FORMATS:
        raise ConfigurationError(f"--format {form!r} is not known: use {', '.join(FORMATS)}")
    chosen = None if form is None else Format(form)
    destinations: list[Destination] = []
    if to:
        destinations = parse_destinations(to, "--to")
    elif chosen is None and not demo:
        destinations = configured_destinations(settings)
    if demo:
        settings = with_demo_database(settings)
    database = open_database(settings)
    found = _read(settings, team)
    if not destinations:
        if again:
            raise ConfigurationError("--again needs a destination: set --to or DIGEST_TO")
        out.out(render(found, chosen or Format.TEXT), highlight=False)
        return
    raise typer.Exit(_send(database, found, destinations, form=chosen, again=again))


def send_weekly(settings: Settings, database: Database) -> int:
    """Send the digest of all teams to `DIGEST_TO`, if it is set; return the exit code.

    A failure is told, not raised: it must not end the run that calls this after its build.
    """
    if settings.digest_to is None:
        return 0
    from cli.digest_destinations import configured_destinations

    try:
        destinations = configured_destinations(settings)
        query = database.schemas.qualify("select from marts.dim_teams limit 1")
        with database.connect(READER) as connection:
            if not connection.execute(query).fetchall():
                # The summary of the run has said that there are no teams.
                return 0
        return _send(database, _read(settings, "all"), destinations)
    except DoraError as error:
        say(f"digest: {error}", "yellow")
        return error.exit_code


def digest_faults(settings: Settings) -> list[str]:
    """Return the faults of `DIGEST_TO`, to report them before a run begins."""
    if settings.digest_to is None:
        return []
    from cli.digest_destinations import configured_destinations

    try:
        configured_destinations(settings)
    except ConfigurationError as error:
        return error.faults
    return []


def _read(settings: Settings, team: str) -> "Digest":
    from api.app import create_app
    from cli.digest_content import read_digest

    # The API logs every request.
    requests = logging.getLogger("api.middleware")
    level = requests.level
    requests.setLevel(logging.WARNING)
    try:
        # Whoever can start this process has the database's password: a key would protect nothing.
        return read_digest(create_app(settings, key_source=lambda: None), team)
    finally:
        requests.setLevel(level)


def _send(
    database: Database,
    found: "Digest",
    destinations: "list[Destination]",
    *,
    form: "Format | None" = None,
    again: bool = False,
) -> int:
    from cli.digest_sending import send

    exit_code = 0
    for outcome in send(database, found, destinations, form=form, again=again):
        if outcome.is_fine:
            tell(f"digest: {outcome.text}")
        else:
            say(f"digest: {outcome.text}", "yellow")
            exit_code = PARTLY
    return exit_code
