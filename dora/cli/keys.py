"""`dora keys`: keys for the API."""

import json
from typing import Annotated

import typer

from dora.cli.console import err, tell

app = typer.Typer(help="Make keys for the API.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `new` a command of its own while it is the only one."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who will use it; shown in logs.")],
    team: Annotated[
        list[str] | None, typer.Option(help="Team id it may read (may be repeated); default: all.")
    ] = None,
) -> None:
    """Make an API key and show it once; only its hash goes into API_KEYS."""
    from dora.keys import ALL_TEAMS, new_key

    key, entry = new_key(name, team or ALL_TEAMS)
    err.print("The key, shown this once:")
    tell(key)
    err.print("Its entry for the JSON array in API_KEYS:")
    tell(json.dumps(entry))
