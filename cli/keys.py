"""`dora keys`: keys for the API."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated

import typer
from psycopg import Error, sql

from cli.console import err, say, set_up_logging, tell
from cli.demo_github import with_shown_database
from dora import embedded_postgres
from dora.database import open_database
from dora.errors import ConfigurationError, DoraError
from dora.roles import READER
from dora.settings import Settings, load_settings

app = typer.Typer(help="Make keys for the API.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `new` a subcommand while it is the only one."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who will use the key; shown in logs.")],
    team: Annotated[
        list[str] | None,
        typer.Option(help="Id of a team that the key may read (may be repeated); default: all."),
    ] = None,
) -> None:
    """Make an API key and show it once; only its hash goes into API_KEYS."""
    from dora.api_keys import ALL_TEAMS, new_key

    key, entry = new_key(name, team or ALL_TEAMS)
    if team:
        _expect_teams(team)
    err.print("The key, shown only once:")
    tell(key)
    err.print("Its entry for the JSON array in API_KEYS:")
    tell(json.dumps(entry))


def _expect_teams(asked: Sequence[str]) -> None:
    """Raise `ConfigurationError` for teams that do not exist; warn if that cannot be checked."""
    settings = load_settings()
    set_up_logging(settings.log_level)
    try:
        known = _team_ids(settings)
    except (DoraError, Error) as error:
        reason = str(error).splitlines()[0]
        say(f"could not check whether these teams exist: {reason}", "yellow")
        return
    faults = []
    for team in asked:
        if team not in known:
            near = get_close_matches(team, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the teams are {', '.join(known)}"
            faults.append(f"--team {team!r} is not a team; {hint}")
    if faults:
        raise ConfigurationError(faults)


def _team_ids(settings: Settings) -> list[str]:
    """Return the ids in `TEAM_CONFIG_JSON`, or if that is not set, in the marts."""
    if settings.team_config_json is not None:
        from ingest.teams import read_teams

        return [team.id for team in read_teams(settings.team_config_json)]
    has_server = (
        settings.db_url or settings.db_secret_arn or embedded_postgres.exists(settings.dora_home)
    )
    if not has_server:
        # Do not start a new embedded server only to check teams.
        raise ConfigurationError("TEAM_CONFIG_JSON is not set and there is no database yet")
    database = open_database(with_shown_database(settings))
    marts = sql.Identifier(database.schemas.marts)
    with database.connect(READER) as connection:
        rows = connection.execute(sql.SQL("select team_id from {}.dim_teams").format(marts))
        return sorted(team_id for (team_id,) in rows)
