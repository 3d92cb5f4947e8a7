"""The ingest of 10,000 pull requests with their reviews, then of nothing new.

The GitHub is the demo's, in a process of its own: it answers at once, so the seconds are ours.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from dora import embedded
from dora.database import Database
from dora.settings import Settings
from ingest.config import read_config
from ingest.pipeline import run
from ingest.record import RunResult

PULL_REQUESTS = 10_000
MOST = {"requests": 220, "points": 450, "bytes a pull request": 2560}


@contextmanager
def _github(teams: Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "demo", "serve", "--pull-requests", str(PULL_REQUESTS)]
    command += ["--teams-out", str(teams)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


def measure(home: Path) -> None:
    """Print a line for the first run and one for a quiet one."""
    server = embedded.start(home)
    try:
        server.create_database("bench")
        teams = home / "teams.json"
        with _github(teams) as served:
            settings = Settings(
                github_pat=SecretStr(served["token"]),
                github_api_url=served["url"],
                repositories=",".join(served["repositories"]),
                team_config_json=str(teams),
            )
            database = Database(server.url("bench"))
            for label in ("first run", "quiet run"):
                _measure_one(label, settings, database, home)
    finally:
        embedded.stop(home)


def _measure_one(label: str, settings: Settings, database: Database, home: Path) -> None:
    began = time.perf_counter()
    result = run(read_config(settings), database, home)
    seconds = time.perf_counter() - began
    assert result is not None
    _print(label, result, seconds)


def _print(label: str, result: RunResult, seconds: float) -> None:
    usage = result.usage
    each = usage.response_bytes / max(1, result.pull_requests)
    print(
        f"ingest, {label}: {result.pull_requests:,} pull requests, {result.reviews:,} reviews: "
        f"{usage.requests} requests, {usage.points} points, {usage.response_bytes:,} bytes "
        f"({each:,.0f} a pull request), {seconds:.1f} s"
    )
    if result.pull_requests:
        found = {
            "requests": usage.requests,
            "points": usage.points,
            "bytes a pull request": each,
        }
        for name, most in MOST.items():
            verdict = "within" if found[name] <= most else "OVER"
            print(f"  {name}: {found[name]:,.0f}, {verdict} {most:,}")
