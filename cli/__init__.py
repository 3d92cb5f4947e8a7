"""The `dora` command: results go to stdout, progress and errors to stderr.

Each command imports its dependencies when it runs: dlt alone takes a second.
"""

import typer

from cli.build import build
from cli.db import app as db
from cli.deployments import app as deployments
from cli.digest import digest
from cli.export import export
from cli.incidents import app as incidents
from cli.ingest import ingest
from cli.keys import app as keys
from cli.mcp import mcp
from cli.retry import retry
from cli.run import run
from cli.serve import serve
from cli.teams import app as teams

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
app.command()(mcp)
app.command()(export)
app.command()(digest)
app.add_typer(db, name="db")
app.add_typer(teams, name="teams")
app.add_typer(deployments, name="deployments")
app.add_typer(incidents, name="incidents")
app.add_typer(keys, name="keys")
