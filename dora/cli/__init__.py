"""The `dora` command: results go to stdout, progress and faults to stderr.

What a command needs is imported when it runs: dlt alone takes a second.
"""

import typer

from dora.cli.build import build
from dora.cli.db import app as db
from dora.cli.deployments import app as deployments
from dora.cli.incidents import app as incidents
from dora.cli.ingest import ingest
from dora.cli.keys import app as keys
from dora.cli.retry import retry
from dora.cli.run import run
from dora.cli.serve import serve
from dora.cli.teams import app as teams

app = typer.Typer(
    help="Team velocity and lead time from GitHub pull requests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(ingest)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(build)
app.command()(retry)
app.command()(serve)
app.add_typer(db, name="db")
app.add_typer(teams, name="teams")
app.add_typer(deployments, name="deployments")
app.add_typer(incidents, name="incidents")
app.add_typer(keys, name="keys")
