"""`dora ingest`: one ingest run."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from cli.console import bars, log, say, set_up_logging, tell
from dora.database import Database, open_database
from dora.plurals import counted
from dora.settings import Settings, load_settings

if TYPE_CHECKING:
    from ingest.run_result import RunResult


def ingest(
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Read from this date on; a later run with an earlier date reads further back.",
        ),
    ] = None,
    repository: Annotated[
        list[str] | None,
        typer.Option(help="Read only this repository, owner/name (may be repeated)."),
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="Read everything again, or only the part that --since and --repository select. "
            "If it is interrupted, the next ingest continues it.",
        ),
    ] = False,
) -> None:
    """Load changes from GitHub into the schema raw."""
    faults: list[str] = []
    settings = load_settings(faults)
    set_up_logging(settings.log_level)
    exit_code = ingest_once(
        settings, since=since, only=repository or [], refresh=refresh, faults=faults
    )
    raise typer.Exit(exit_code)


def ingest_once(
    settings: Settings,
    database: Database | None = None,
    *,
    since: datetime | None = None,
    only: list[str] | None = None,
    refresh: bool = False,
    faults: Sequence[str] = (),
) -> int:
    """Ingest into the given or the configured database; print the result, return the exit code.

    `faults` of the settings are reported together with any others.
    """
    from ingest.config import read_config
    from ingest.pipeline import run

    since = since.replace(tzinfo=UTC) if since else None
    config = read_config(settings, since=since, only=only or (), refresh=refresh, faults=faults)
    database = database or open_database(settings)
    for warning in config.warnings:
        say(warning, "yellow")
    with bars() as progress:
        result = run(config, database, settings.dora_home, _Bar(progress))
    if result is None:
        tell("another ingest is running; this one did nothing")
        return 0
    _tell(result)
    return result.exit_code


def _tell(result: "RunResult") -> None:
    for message in result.messages:
        say(message, "yellow")
    usage = result.usage
    cost = f"{counted(usage.requests, 'request')}, {counted(usage.points, 'point')}"
    repositories = counted(result.repositories, "repository", "repositories")
    if result.pull_requests:
        tell(
            f"{counted(result.pull_requests, 'pull request')} with "
            f"{counted(result.reviews, 'review')} landed from {repositories} ({cost})"
        )
    elif result.exit_code == 0:
        tell(f"nothing has changed in {repositories} ({cost})")
    if failed := result.pull_requests_failed:
        say(
            f"{counted(failed, 'pull request')} could not be read: see "
            "raw.ingest_failures; for a day, every run tries again",
            "yellow",
        )


class _Bar:
    """The ingest's progress bar: pull requests landed out of those expected."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("ingest", total=None, note="asking GitHub for changes")
        self._landed = 0

    def planned(self, repositories: int, behind: int, pull_requests: int) -> None:
        note = f"repositories that have changed: {behind:,} of {repositories:,}"
        self._progress.update(self._task, total=pull_requests or None, note=note)
        log(f"ingest: {note}")

    def landed(self, pull_requests: int) -> None:
        self._landed += pull_requests
        self._progress.update(self._task, completed=self._landed)
        if pull_requests:
            log(f"ingest: {counted(self._landed, 'pull request')} landed")
