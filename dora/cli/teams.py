"""`dora teams`: look at a team configuration before it is used."""

from pathlib import Path
from typing import Annotated

import typer

from dora.cli.console import tell

app = typer.Typer(help="Check a team configuration.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `check` a command of its own while it is the only one."""


@app.command()
def check(file: Annotated[Path, typer.Argument(help="The configuration, as JSON.")]) -> None:
    """Validate a team configuration; every fault is told at once."""
    from dora.references import read_reference
    from ingest.teams import over_allocations, parse_teams, person

    teams = parse_teams(read_reference(str(file), "the team configuration"), str(file))
    windows = [member for team in teams for member in team.members]
    people = {person(member.github_username) for member in windows}
    for warning in over_allocations(teams):
        tell(f"warning: {warning}")
    tell(f"{file}: good: {len(teams)} teams, {len(people)} people, {len(windows)} windows")
