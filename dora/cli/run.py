"""`dora run`: from nothing to every team's figures."""

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer
from pydantic import SecretStr

from dora.cli.build import build_once
from dora.cli.console import say, set_up_logging
from dora.cli.ingest import ingest_once
from dora.cli.serve import HOST, PORT, serve_marts
from dora.cli.summary import print_summary
from dora.database import open_database
from dora.errors import StoppedEarly
from dora.settings import Settings, load_settings

_LANDED = {0, 1, StoppedEarly.exit_code}


def run(
    demo: Annotated[bool, typer.Option("--demo", help="Show the demo organisation.")] = False,
    serve: Annotated[bool, typer.Option(help="Serve API and dashboard at the end.")] = True,
    port: Annotated[int, typer.Option(help="Port to serve on.", min=1, max=65535)] = PORT,
) -> None:
    """Start the database, ingest, build the marts, show every team's weeks, serve."""
    from dora.demo import demo_database, demo_github

    settings = load_settings()
    set_up_logging(settings.log_level)
    if not demo and settings.github_pat is None:
        say("No GITHUB_PAT is set: showing the demo organisation, in a database of its own.")
        demo = True
    source: AbstractContextManager[Settings] = nullcontext(settings)
    if demo:
        database, source = demo_database(settings.dora_home), demo_github(settings)
    else:
        database = open_database(settings)
    with source as configured:
        exit_code = ingest_once(configured, database)
    if exit_code not in _LANDED:
        raise typer.Exit(exit_code)
    build_once(database)
    print_summary(database)
    if serve:
        served = settings.model_copy(update={"db_url": SecretStr(database.url)})
        serve_marts(served, HOST, port)
    raise typer.Exit(exit_code)
