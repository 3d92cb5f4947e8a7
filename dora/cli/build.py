"""`dora build`: `dbt build` against the configured database."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import typer
from rich.progress import Progress, TaskID

from dora.cli.console import bars, log, say, set_up_logging, tell
from dora.cli.db import prepare
from dora.cli.ending import ended_in_order
from dora.database import Database
from dora.dbt import LOCK
from dora.errors import ConfigurationError, TransformError
from dora.roles import TRANSFORM
from dora.settings import load_settings
from dora.standing import standing

SAY_EVERY = 50
_RESULTS = {"LogModelResult", "LogTestResult", "LogSnapshotResult", "LogSeedResult"}
_RESULTS |= {"LogNodeResult", "LogFunctionResult"}
_WARNINGS = {"NoNodesForSelectionCriteria", "JinjaLogWarning"}


def build(context: typer.Context) -> None:
    """Run `dbt build`; what follows is handed to dbt (`dora build --select marts`)."""
    settings = load_settings()
    set_up_logging(settings.log_level)
    build_once(prepare(settings), context.args)


def build_once(database: Database, arguments: Sequence[str] = ()) -> None:
    """Build the marts of a database, after another build that is under way.

    Raises `TransformError` with what failed, `ConfigurationError` where dbt refuses its arguments.
    """
    with database.connect(autocommit=True) as connection:
        if connection.execute("select pg_try_advisory_lock(%s)", [LOCK]).fetchone() != (True,):
            say("another build is under way; waiting for its end")
            connection.execute("select pg_advisory_lock(%s)", [LOCK])
        with ended_in_order(), standing(database):
            watch = run_dbt(database, ["build", *arguments], "dbt build")
    for warning in watch.warnings:
        say(f"dbt: {warning}", "yellow")
    counts = ", ".join(f"{count} {status}" for status, count in watch.statuses.most_common())
    tell(f"dbt build: {counts or 'nothing to do'}")


def run_dbt(database: Database, arguments: Sequence[str], title: str) -> "Watch":
    """Run dbt as `dora_transform`, under a bar with a title; it ends with us, whatever ends us.

    Raises `TransformError` with what failed, `ConfigurationError` where dbt refuses its arguments.
    """
    with bars() as progress:
        watch = Watch(progress, title)
        code = _dbt(database, arguments, watch)
    failures = "\n".join(watch.failures) or "dbt gave no reason"
    if any(line.startswith("Usage:") for line in watch.failures):
        raise ConfigurationError(watch.failures[-1])
    if code != 0:
        raise TransformError(f"{title} failed:\n{failures}")
    return watch


def _dbt(database: Database, arguments: Sequence[str], watch: "Watch") -> int:
    command = [
        *(sys.executable, "-m", "dora.dbt"),
        *("--log-format", "json", "--no-use-colors"),
        *arguments,
    ]
    environment = os.environ | database.environment(TRANSFORM)
    with subprocess.Popen(
        command,
        env=environment,
        text=True,
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                watch.line(line)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    return process.returncode


class Watch:
    """Reads dbt's JSON log: moves the bar, keeps what went wrong."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._task: TaskID = progress.add_task(title, total=None, note="starting")
        self.statuses: Counter[str] = Counter()
        self.failures: list[str] = []
        self.warnings: list[str] = []

    def line(self, line: str) -> None:
        """Take in a line; one that is no JSON is dbt dying before it could log."""
        try:
            event = json.loads(line)
            info, data = event["info"], event.get("data", {})
        except (ValueError, KeyError, TypeError):
            self.failures.append(line.rstrip())
            return
        if info["name"] in _RESULTS:
            self._result(data)
        elif info["level"] == "error":
            self.failures.append(info["msg"])
        elif info["name"] in _WARNINGS:
            self.warnings.append(info["msg"])

    def _result(self, data: dict[str, Any]) -> None:
        status = str(data.get("status", "")).split(" ")[0].lower()
        node = data.get("node_info", {})
        self.statuses[_WORDS.get(status, status)] += 1
        name = str(node.get("node_name", ""))
        if status == "warn":
            self.warnings.append(f"{name}: {data.get('num_failures', 0)} rows")
        done = sum(self.statuses.values())
        total = data.get("total") or data.get("num_models")
        self._progress.update(self._task, completed=done, total=total, note=name)
        if done % SAY_EVERY == 0:
            log(f"{self._title}: {done} done")


_WORDS = {"pass": "tests passed", "warn": "tests warn", "fail": "failed", "error": "errors"}
_WORDS |= {"create": "models built", "select": "models built", "insert": "models built"}
_WORDS |= {"merge": "models built", "skip": "skipped", "success": "built"}
