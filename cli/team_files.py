"""`dora teams draft`, `import`, `export` and `sync`: write a team file instead of typing it."""

import asyncio
import re
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from psycopg.rows import BaseRowFactory, class_row, tuple_row

from cli.console import say, set_up_logging, tell
from cli.demo_github import with_demo_database
from dora import embedded_postgres
from dora.database import Database, open_database
from dora.errors import ConfigurationError, DoraError
from dora.plurals import counted
from dora.remote_config import read_reference
from dora.roles import TRANSFORM
from dora.settings import Settings, load_settings

if TYPE_CHECKING:
    from ingest.github.teams import GitHubTeam
    from ingest.team_drafts import Work
    from ingest.teams import Team

_IS_LOADED = "select to_regclass('raw.pull_requests') is not null"
From = Annotated[
    str | None, typer.Option("--from", help="github:ORG: the teams of an organisation on GitHub.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="Write this file, JSON if it ends in .json, otherwise YAML."),
]
Write = Annotated[bool, typer.Option("--write", help="Replace the existing file.")]


def draft(
    source: From = None,
    out: Out = None,
    write: Write = False,
    demo: Annotated[bool, typer.Option("--demo", help="The demo organisation's database.")] = False,
) -> None:
    """Draft a team file from GitHub's teams, or from who works in which repositories."""
    from ingest.team_drafts import FROM_GITHUB, FROM_WORK, draft_from_github, draft_from_work

    settings = _settings()
    if source:
        organisation = _organisation(source)
        teams = draft_from_github(organisation, _fetch(settings, organisation))
        comment = FROM_GITHUB.format(organisation=organisation)
    else:
        work = _read_work(with_demo_database(settings) if demo else settings)
        teams, comment = draft_from_work(work), FROM_WORK
        people = {one.github_username for team in teams for one in team.members}
        if count := len({each.login for each in work} - people):
            say(f"left out, without a recent pull request: {counted(count, 'person', 'people')}")
    _deliver(teams, out, write, comment)


def import_people(
    file: Annotated[str, typer.Argument(help="CSV with a header: a file's path, s3://…, ssm:….")],
    column: Annotated[
        list[str] | None,
        typer.Option(help='The header\'s name of a column: joined="Start date" (repeatable).'),
    ] = None,
    date_format: Annotated[
        str | None, typer.Option(help="The format of the dates, such as %d/%m/%Y.")
    ] = None,
    out: Out = None,
    write: Write = False,
) -> None:
    """Make a team file from a CSV file of people; report every fault at once."""
    from ingest.people_csv import parse_people

    set_up_logging("INFO")
    mapped = {}
    for each in column or ():
        name, equals, title = each.partition("=")
        if not (name and equals and title):
            raise ConfigurationError(f"--column {each!r} does not have the form NAME=TITLE")
        mapped[name.strip()] = title.strip()
    people = parse_people(read_reference(file, "the people"), file, mapped, date_format)
    if people.unused:
        say(f"columns that were not used: {', '.join(people.unused)}")
    _deliver(people.teams, out, write)


def export(
    file: Annotated[
        str | None, typer.Argument(help="The team file; default: TEAM_CONFIG_JSON.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write this file instead of stdout.")] = None,
) -> None:
    """Write a team file as CSV, which `dora teams import` reads."""
    from ingest.people_csv import write_people
    from ingest.teams import read_teams

    set_up_logging("INFO")
    configured = file or load_settings().team_config_json
    if configured is None:
        raise ConfigurationError("name a team file, or set TEAM_CONFIG_JSON")
    teams = read_teams(configured)
    if empty := [team.id for team in teams if not team.members]:
        say(f"teams without members, which CSV cannot hold: {', '.join(empty)}", "yellow")
    if grouped := [team.id for team in teams if team.group_windows]:
        say(f"groups, which CSV cannot hold, of the teams: {', '.join(grouped)}", "yellow")
    text = write_people(teams)
    if out is None:
        print(text, end="")
    else:
        _save(out, text)


def sync(
    file: Annotated[Path, typer.Argument(help="The team file to bring up to date.")],
    source: Annotated[str, typer.Option("--from", help="github:ORG")],
    write: Annotated[bool, typer.Option("--write", help="Change the file.")] = False,
) -> None:
    """Follow GitHub's teams: end the windows of those who left today, begin those of new ones."""
    from ingest.team_sync import sync as follow

    settings = _settings()
    organisation = _organisation(source)
    text, teams = _read(file)
    found = _fetch(settings, organisation)
    synced = follow(teams, found, today(), _known_logins(settings))
    for note in synced.notes:
        say(note, "yellow")
    if write and re.search(r"(^|\s)#", text) and file.suffix != ".json":
        say(f"comments in {file} are not kept", "yellow")
    _replace(file, teams, synced.teams, write)


def today() -> date:
    """Return today's date in UTC."""
    return datetime.now(UTC).date()


def _settings() -> Settings:
    settings = load_settings()
    set_up_logging(settings.log_level)
    return settings


def _organisation(source: str) -> str:
    kind, _, organisation = source.partition(":")
    if kind != "github" or not organisation:
        raise ConfigurationError(f"--from {source!r} is unknown; use github:ORG")
    return organisation


def _fetch(settings: Settings, organisation: str) -> "list[GitHubTeam]":
    from ingest.github.teams import fetch_teams, open_github

    return asyncio.run(fetch_teams(open_github(settings), organisation))


def _read_work(settings: Settings) -> "list[Work]":
    from ingest.exclusion_rules import read_automation_logins
    from ingest.team_drafts import AUTHORS, DAYS, Work, without_automation

    patterns = read_automation_logins(settings.automation_logins)
    work = _rows(open_database(settings), AUTHORS, class_row(Work), days=DAYS)
    return without_automation(work, patterns)


def _known_logins(settings: Settings) -> dict[str, set[str]]:
    """Return the logins of each account in the loaded data; without data, say so."""
    from ingest.team_sync import LOGINS
    from ingest.teams import person

    logins: dict[str, set[str]] = defaultdict(set)
    try:
        is_embedded = not (settings.db_url or settings.db_secret_arn)
        if is_embedded and not embedded_postgres.exists(settings.dora_home):
            # Do not start a new embedded server for this.
            raise ConfigurationError("there is no database yet")
        for account_id, login in _rows(open_database(settings), LOGINS, tuple_row):
            logins[account_id].add(person(login))
    except DoraError as error:
        reason = str(error).splitlines()[0]
        say(f"renamed people cannot be recognised: {reason}", "yellow")
    return logins


def _rows(database: Database, query: str, rows: BaseRowFactory[Any], **values: Any) -> list[Any]:
    qualify = database.schemas.qualify
    with database.connect(TRANSFORM) as connection:
        if connection.execute(qualify(_IS_LOADED)).fetchone() != (True,):
            raise ConfigurationError(f"the database {database} has no data: run `dora ingest`")
        return connection.cursor(row_factory=rows).execute(qualify(query), values).fetchall()


def _read(file: Path) -> "tuple[str, list[Team]]":
    from ingest.teams import parse_teams

    text = read_reference(str(file), "the team configuration")
    return text, parse_teams(text, str(file))


def _deliver(teams: "list[Team]", out: Path | None, write: bool, comment: str = "") -> None:
    """Print a new team file, or write it; an existing file is compared with it first."""
    from ingest.team_file import write_teams

    if out is None:
        _warn(teams)
        print(write_teams(teams, "", comment), end="")
    elif out.exists():
        before = _read(out)[1]
        _replace(out, before, _with_groups(before, teams), write, comment)
    else:
        _warn(teams)
        _save(out, write_teams(teams, out.name, comment))
        tell(f"{out} has {_counts(teams)}")


def _with_groups(before: "list[Team]", teams: "list[Team]") -> "list[Team]":
    """Return the teams, those without groups with the groups that they had before."""
    had = {team.id: {"group": team.group, "groups": team.groups} for team in before}
    return [
        team if team.group_windows else team.model_copy(update=had.get(team.id, {}))
        for team in teams
    ]


def _replace(
    file: Path, before: "list[Team]", after: "list[Team]", write: bool, comment: str = ""
) -> None:
    """Show how a file would change, and change it if asked to."""
    from cli.print_team_diff import changes
    from cli.team_diff import Configuration
    from ingest.team_file import write_teams
    from ingest.teams import parse_teams

    text = write_teams(after, file.name, comment)
    # New teams and the groups of the existing file may not fit together.
    parse_teams(text, str(file))
    lines = [*changes(Configuration.of(before), Configuration.of(after))]
    lines += _group_changes(before, after)
    if not lines:
        tell(f"{file} stays as it is: {_counts(before)}")
        return
    for line in lines:
        tell(line)
    _warn(after)
    if write:
        _save(file, text)
        tell(f"{file} has {_counts(after)}")
    else:
        tell(f"nothing was written: --write changes {file}")


def _group_changes(before: "list[Team]", after: "list[Team]") -> list[str]:
    """List the windows in groups that only one of the two has, marked `-` and `+`."""
    old, new = (
        {
            ", ".join([team.id, window.path, *(str(at) for at in window.dates if at)])
            for team in teams
            for window in team.group_windows
        }
        for teams in (before, after)
    )
    marked = sorted([(row, "-") for row in old - new] + [(row, "+") for row in new - old])
    return ["groups:", *(f"  {mark} {row}" for row, mark in marked)] if marked else []


def _warn(teams: "list[Team]") -> None:
    from ingest.teams import over_allocations

    for warning in over_allocations(teams):
        say(warning, "yellow")


def _save(file: Path, text: str) -> None:
    # A full disk must not leave half a file in place of the old one.
    file = file.resolve()
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None


def _counts(teams: "list[Team]") -> str:
    from ingest.teams import person

    people = {person(member.github_username) for team in teams for member in team.members}
    return f"{counted(len(teams), 'team')}, {counted(len(people), 'person', 'people')}"
