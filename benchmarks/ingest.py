"""The costs of an ingest: requests, points and bytes of GitHub; our seconds and megabytes.

The former are measured with the demo's GitHub, whose responses and points are those of the real
one. The latter are measured with a GitHub that answers at once; each run is a new process and is
timed from its start.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.instant import NAME
from dora import embedded_postgres
from dora.database import Database
from dora.embedded_postgres import Embedded
from dora.settings import Settings
from ingest.config import read_config
from ingest.pipeline import run
from ingest.run_result import RunResult

PULL_REQUESTS = 10_000
SIZES = (10_000, 100_000)
MOST = {"requests": 200, "points": 400, "bytes a pull request": 2560}
LEAST_A_SECOND, MOST_MEGABYTES, MOST_QUIET_SECONDS = 2000, 256, 3.0
# Run in a small process: a child's peak memory is never below its parent's.
_TIMING = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
TEAM = {
    "id": "core",
    "name": "Core",
    "members": [{"github_username": "dev-1", "joined_at": "2012-01-01"}],
}


@dataclass(frozen=True)
class Process:
    """A process that has ended: its wall time and its peak memory."""

    seconds: float
    megabytes: float


@contextmanager
def _served(*command: str) -> Iterator[str]:
    """Run a module that prints a line when it is ready; yield that line."""
    with subprocess.Popen(
        [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline()
        process.terminate()


def measure(home: Path) -> None:
    """Print a line for each measurement."""
    server = embedded_postgres.start(home)
    try:
        _measure_cost(server, home)
        for size in SIZES:
            _measure_speed(server, home, size)
        _measure_imports()
    finally:
        embedded_postgres.stop(home)


def _measure_cost(server: Embedded, home: Path) -> None:
    server.create_database("cost")
    teams = home / "teams.json"
    asked = ("--pull-requests", str(PULL_REQUESTS), "--teams-out", str(teams))
    with _served("demo", "serve", *asked) as line:
        served: dict[str, Any] = json.loads(line)
        settings = Settings(
            _env_file=None,
            github_pat=SecretStr(served["token"]),
            github_api_url=served["url"],
            repositories=",".join(served["repositories"]),
            team_config_json=str(teams),
        )
        for label in ("first run", "quiet run"):
            result = run(read_config(settings), Database(server.url("cost")), home)
            assert result is not None
            _print_cost(label, result)


def _print_cost(label: str, result: RunResult) -> None:
    usage = result.usage
    each = usage.response_bytes / max(1, result.pull_requests)
    print(
        f"ingest, {label}: {result.pull_requests:,} pull requests, {result.reviews:,} reviews: "
        f"{usage.requests} requests, {usage.points} points, {usage.response_bytes:,} bytes"
    )
    if result.pull_requests:
        found = (usage.requests, usage.points, each)
        for (name, most), value in zip(MOST.items(), found, strict=True):
            _say(name, value, most, is_good=value <= most)


def _measure_speed(server: Embedded, home: Path, size: int) -> None:
    server.create_database(f"speed_{size}")
    with _served("benchmarks.instant", str(size)) as url:
        environment = os.environ | {
            "GITHUB_PAT": "any",
            "GITHUB_API_URL": url.strip(),
            "REPOSITORIES": NAME,
            "TEAM_CONFIG_JSON": json.dumps([TEAM]),
            "DB_URL": server.url(f"speed_{size}"),
            "DORA_HOME": str(home / "ingest"),
        }
        first = _timed(["-m", "cli", "ingest"], environment)
        quiet = [_timed(["-m", "cli", "ingest"], environment) for _ in range(3)]
    seconds = sorted(process.seconds for process in quiet)[1]
    print(f"ingest, GitHub that answers at once: {size:,} pull requests, {first.seconds:.1f} s")
    speed = size / (first.seconds - seconds)
    _say("pull requests a second, less a quiet run", speed, LEAST_A_SECOND, speed >= LEAST_A_SECOND)
    _say("MB at the most", first.megabytes, MOST_MEGABYTES, first.megabytes <= MOST_MEGABYTES)
    is_quick = seconds <= MOST_QUIET_SECONDS
    _say("seconds of a quiet run, the whole process", seconds, MOST_QUIET_SECONDS, is_quick)


def _measure_imports() -> None:
    for module in ("dlt", "ingest.pipeline", "ingest.handler"):
        taken = [_timed(["-c", f"import {module}"], dict(os.environ)) for _ in range(3)]
        seconds = sorted(process.seconds for process in taken)[1]
        print(f"import {module}: {seconds:.2f} s, {taken[0].megabytes:.0f} MB")


def _timed(arguments: list[str], environment: dict[str, str]) -> Process:
    timing = [sys.executable, "-c", _TIMING, sys.executable, *arguments]
    told = subprocess.run(timing, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seconds, size = map(float, told.stdout.split())
    # Linux gives kilobytes, macOS bytes.
    return Process(seconds, size / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def _say(name: str, value: float, aim: float, is_good: bool) -> None:
    shown = f"{value:,.1f}" if aim < 10 else f"{value:,.0f}"
    print(f"  {name}: {shown}, aim {aim:,g}{'' if is_good else ': MISSED'}")
