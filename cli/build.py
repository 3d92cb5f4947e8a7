"""`dora build`: `dbt build` against the configured database."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.progress import Progress, TaskID

from cli.console import bars, log, say, set_up_logging, tell
from cli.db import prepare
from cli.ending import ended_in_order
from cli.team_report import report_built
from dora.database import Database
from dora.plurals import counted
from dora.settings import load_settings
from transform.dbt_runner import build_marts

# Suppresses dbt's own output; the error of a failed build has the details.
QUIET = ("--log-level", "none")

SAY_EVERY = 50
_RESULTS = {"LogModelResult", "LogTestResult", "LogSnapshotResult", "LogSeedResult"}
_RESULTS |= {"LogNodeResult", "LogFunctionResult"}
_WARNINGS = {"NoNodesForSelectionCriteria", "JinjaLogWarning"}


def build(context: typer.Context) -> None:
    """Build the marts with `dbt build`; further arguments go to dbt (`--select marts`)."""
    settings = load_settings()
    set_up_logging(settings.log_level)
    build_once(prepare(settings), settings.dora_home, context.args)


def build_once(database: Database, home: Path, arguments: Sequence[str] = ()) -> None:
    """Build the marts of a database; if another build is running, wait for it first.

    dbt's files are below `home`. Raises `TransformError` with the failed models and tests,
    `ConfigurationError` if dbt rejects its arguments.
    """
    with bars() as progress, ended_in_order():
        watch = Watch(progress, "dbt build")
        build_marts(
            database,
            home,
            [*QUIET, *arguments],
            on_event=watch.on_event,
            on_wait=lambda: say("another build is running; waiting for it to finish"),
        )
    for warning in watch.warnings:
        say(f"dbt: {warning}", "yellow")
    counts = ", ".join(
        counted(count, *_WORDS.get(status, (status, status)))
        for status, count in watch.statuses.most_common()
    )
    tell(f"dbt build: {counts or 'nothing to do'}")
    for line in report_built(database):
        say(f"teams: {line}", "yellow")


class Watch:
    """Follow dbt's events: update the bar, count results, collect warnings."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._task: TaskID = progress.add_task(title, total=None, note="starting")
        self.statuses: Counter[str] = Counter()
        self.warnings: list[str] = []

    def on_event(self, event: Any) -> None:
        """Handle an event of dbt, an `EventMsg`."""
        if event.info.name in _RESULTS:
            is_test = event.info.name == "LogTestResult"
            self._result(event.data, event.data.num_models if is_test else event.data.total)
        elif event.info.name in _WARNINGS:
            self.warnings.append(event.info.msg)

    def _result(self, data: Any, total: int) -> None:
        status = data.status.split(" ")[0].lower()
        # The status of a built model is the command tag of its last statement: `INSERT 0 5`.
        self.statuses[status if status in _WORDS else "model"] += 1
        name = data.node_info.node_name
        if status == "warn":
            self.warnings.append(f"{name}: {counted(data.num_failures, 'row')}")
        done = sum(self.statuses.values())
        self._progress.update(self._task, completed=done, total=total, note=name)
        if done % SAY_EVERY == 0:
            log(f"{self._title}: {done} done")


_WORDS = {
    "model": ("model built", "models built"),
    "pass": ("test passed", "tests passed"),
    "warn": ("test warns", "tests warn"),
    "error": ("error", "errors"),
    "fail": ("failed", "failed"),
    "skip": ("skipped", "skipped"),
    "success": ("snapshot built", "snapshots built"),
}
