"""`dora run`: ingest, build the marts, print and serve every team's figures."""

import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from socket import socket
from typing import Annotated

import typer

from cli.build import build_once
from cli.console import say, set_up_logging
from cli.db import prepare
from cli.digest import digest_faults, send_weekly
from cli.ingest import ingest_once
from cli.schedule import parse_interval, run_every
from cli.serve import HOST, PORT, listen, serve_marts
from cli.summary import print_summary
from dora.errors import ConfigurationError, StoppedEarly
from dora.settings import Settings, is_unconfigured, load_settings

_LANDED = {0, 1, StoppedEarly.exit_code}


def run(
    demo: Annotated[bool, typer.Option("--demo", help="Use the demo organisation.")] = False,
    serve: Annotated[bool, typer.Option(help="Serve API and dashboard at the end.")] = True,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Serve at once, and ingest and build again after each 90m, 4h or 1d (at least "
            "5m).",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = HOST,
    port: Annotated[int, typer.Option(help="Port to serve on.", min=1, max=65535)] = PORT,
) -> None:
    """Ingest, build the marts, print each team's last weeks, and serve them."""
    from cli.demo_github import demo_github, with_demo_database

    faults: list[str] = []
    settings = load_settings(faults)
    set_up_logging(settings.log_level)
    interval = None if every is None else parse_interval(every)
    if interval is not None and not serve:
        raise ConfigurationError(
            "--every serves between its runs: leave out --no-serve, or schedule"
            " `dora run --no-serve` yourself"
        )
    if not demo and is_unconfigured(settings) and not faults:
        say(
            "GITHUB_PAT, REPOSITORIES and TEAM_CONFIG_JSON are not set:"
            " showing the demo organisation, in a separate database."
        )
        demo = True
    if not demo:
        faults += digest_faults(settings)
    listening = listen(host, port) if serve else None
    if interval is not None and listening is not None:
        _stay_up(settings, faults, listening, interval, is_demo=demo)
        return
    source: AbstractContextManager[Settings] = nullcontext(settings)
    if demo:
        settings = with_demo_database(settings)
        source = demo_github(settings)
    with source as configured:
        exit_code = ingest_once(configured, faults=faults)
    if exit_code not in _LANDED:
        raise typer.Exit(exit_code)
    database = prepare(settings)
    build_once(database, settings.dora_home)
    print_summary(database)
    if not demo:
        # Also if some repositories failed: the digest is about completely loaded weeks.
        sent = send_weekly(settings, database)
        exit_code = exit_code or sent
    if demo:
        say("`dora db url --demo` prints the demo's database; `dora serve --demo` serves it again.")
    if listening is not None:
        serve_marts(settings, listening, is_demo=demo)
    raise typer.Exit(exit_code)


def _stay_up(
    settings: Settings,
    faults: list[str],
    listening: socket,
    interval: timedelta,
    *,
    is_demo: bool,
) -> None:
    """Serve at once; meanwhile ingest and build in every interval, in a separate process.

    A process gives its memory back, reads the configuration again, and cannot end the server.
    """
    from cli.demo_github import with_demo_database
    from ingest.config import read_config

    command = [sys.executable, "-P", "-m", "cli", "run", "--no-serve"]
    if is_demo:
        if faults:
            raise ConfigurationError(faults)
        settings = with_demo_database(settings)
        command.append("--demo")
    else:
        read_config(settings, faults=faults)
    serve_marts(settings, listening, is_demo=is_demo, beside=lambda: run_every(interval, command))
