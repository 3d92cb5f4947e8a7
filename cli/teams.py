"""`dora teams`: check a team configuration before it is used; write one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from psycopg import OperationalError

from cli.console import say, set_up_logging, tell
from cli.demo_github import with_demo_database
from cli.ending import ended_in_order
from cli.team_files import draft, export, import_people, sync
from dora.database import Database, open_database
from dora.errors import ConfigurationError, UnavailableError
from dora.plurals import counted
from dora.settings import load_settings

if TYPE_CHECKING:
    from cli.team_diff import Diff
    from ingest.teams import Team

app = typer.Typer(
    help="Draft, check and keep a team configuration; see what it would change.",
    no_args_is_help=True,
)
app.command()(draft)
app.command("import")(import_people)
app.command()(export)
app.command()(sync)
File = Annotated[Path, typer.Argument(help="The configuration, JSON or YAML.")]


@app.command()
def check(
    file: File,
    against_data: Annotated[
        bool,
        typer.Option("--against-data", help="Also name members never seen, and merges in no team."),
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="The demo organisation's database.")] = False,
) -> None:
    """Validate a team configuration; report every fault at once."""
    from ingest.teams import over_allocations, person

    teams = _parse(file)
    windows = [member for team in teams for member in team.members]
    people = {person(member.github_username) for member in windows}
    for warning in over_allocations(teams):
        tell(f"warning: {warning}")
    if against_data:
        for warning in _report(teams, demo):
            tell(f"warning: {warning}")
    counts = (
        counted(len(teams), "team"),
        counted(len(people), "person", "people"),
        counted(len(windows), "window"),
    )
    tell(f"{file} is valid: {', '.join(counts)}")


@app.command()
def diff(
    file: File,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    limit: Annotated[
        int, typer.Option(help="Pull requests to show per team; 0 for all.", min=0)
    ] = 20,
    demo: Annotated[bool, typer.Option("--demo", help="The demo organisation's database.")] = False,
) -> None:
    """Show how a configuration would change each team's figures, without changing the marts."""
    from cli.print_team_diff import print_diff, print_json
    from ingest.teams import over_allocations

    faults: list[str] = []
    settings = load_settings(faults)
    set_up_logging(settings.log_level)
    try:
        teams = _parse(file)
    except ConfigurationError as error:
        faults += error.faults
    if faults:
        raise ConfigurationError(faults)
    for warning in over_allocations(teams):
        say(f"team configuration: {warning}", "yellow")
    database = open_database(with_demo_database(settings) if demo else settings)
    found = _diff(database, teams)
    if as_json:
        print_json(found)
    else:
        print_diff(found, str(file), limit)


def _parse(file: Path) -> list["Team"]:
    from dora.remote_config import read_reference
    from ingest.teams import parse_teams

    return parse_teams(read_reference(str(file), "the team configuration"), str(file))


def _report(teams: list["Team"], demo: bool) -> list[str]:
    from cli.team_report import Window, report

    settings = load_settings()
    set_up_logging(settings.log_level)
    database = open_database(with_demo_database(settings) if demo else settings)
    windows = [
        Window(team.id, (one.github_username, *one.also), one.joined_at, one.left_at)
        for team in teams
        for one in team.members
    ]
    with _unavailable_told(database):
        return report(database, windows)


@contextmanager
def _unavailable_told(database: Database) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise UnavailableError(f"the database {database} is unavailable: {reason}") from None


def _diff(database: Database, teams: list["Team"]) -> "Diff":
    from cli.team_diff import diff_teams

    # If the process is killed, the next run drops the scratch schema.
    with _unavailable_told(database), ended_in_order():
        return diff_teams(database, teams)
