"""`dora run --every`: the interval, the runs one after another, and the real process."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest

from cli.schedule import parse_interval, run_every
from demo.github import GitHub
from demo.organisation import Organisation, generate
from demo.server import Server, serve
from dora.database import Database
from dora.errors import ConfigurationError

TOKEN = "a-token"
SOON = timedelta(seconds=0.05)
# Writes a line when it begins and when it ends; an interrupt ends it early, with a delay.
RUN = """
import signal, sys, time
def note(line):
    with open("log", "a") as file:
        print(line, file=file)
note("begin")
try:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    time.sleep(float(sys.argv[1]))
except KeyboardInterrupt:
    time.sleep(0.3)
    note("interrupted")
else:
    note("end")
sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("5m", timedelta(minutes=5)),
        ("90m", timedelta(minutes=90)),
        ("4h", timedelta(hours=4)),
        ("1d", timedelta(days=1)),
    ],
)
def test_interval_is_minutes_hours_or_days(text: str, interval: timedelta) -> None:
    assert parse_interval(text) == interval


@pytest.mark.parametrize("text", ["", "4", "h", "4s", "-4h", "4H", "1h30m", "1.5h", "99999d", "٤h"])
def test_other_text_is_refused_as_a_duration(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a duration: write .* 90m, 4h or 1d"):
        parse_interval(text)


@pytest.mark.parametrize("text", ["4m", "0h"])
def test_interval_below_the_minimum_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--every {text} is too short: .* 5m"):
        parse_interval(text)


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    monkeypatch.chdir(tmp_path)

    def read() -> list[str]:
        log = tmp_path / "log"
        return log.read_text().split() if log.exists() else []

    return read


def run_until(command: list[str], is_enough: Callable[[], bool]) -> None:
    """Run a command every `SOON` until enough is seen, then cancel."""

    async def watch() -> None:
        task = asyncio.create_task(run_every(SOON, command))
        until = time.monotonic() + 30
        while not is_enough():
            assert not task.done()
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(watch())


def test_runs_follow_each_other_and_never_overlap(lines: Callable[[], list[str]]) -> None:
    # Each takes longer than the interval.
    run_until([sys.executable, "-c", RUN, "0.2", "0"], lambda: lines().count("end") == 3)
    seen = lines()
    assert seen[:6] == ["begin", "end"] * 3


def test_failed_run_is_reported_and_the_next_one_starts(
    lines: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    run_until([sys.executable, "-c", RUN, "0", "69"], lambda: lines().count("end") == 2)
    assert "the run ended with exit code 69; the next run starts at " in caplog.text


def test_command_that_cannot_start_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    run_until(["/nowhere/python"], lambda: caplog.text.count("could not start") == 2)
    assert "No such file" in caplog.text


def test_cancelling_interrupts_the_run_and_waits_for_its_end(
    lines: Callable[[], list[str]],
) -> None:
    run_until([sys.executable, "-c", RUN, "30", "0"], lambda: lines() == ["begin"])
    assert lines() == ["begin", "interrupted"]


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return generate(seed=5, pull_requests=100, repositories=2)


@pytest.fixture(scope="module")
def hub(organisation: Organisation) -> Iterator[Server]:
    with serve(GitHub.from_organisation(organisation), token=TOKEN) as hub:
        yield hub


@pytest.fixture
def configuration(
    database: Database, hub: Server, organisation: Organisation, tmp_path: Path
) -> dict[str, str]:
    return os.environ | {
        "GITHUB_PAT": TOKEN,
        "GITHUB_API_URL": hub.url,
        "REPOSITORIES": ",".join(found.name_with_owner for found in hub.github.repositories()),
        "TEAM_CONFIG_JSON": json.dumps(organisation.team_config()),
        "DB_URL": database.url,
        "DORA_HOME": str(tmp_path / "home"),
    }


@contextmanager
def running(
    configuration: dict[str, str], folder: Path
) -> Iterator[tuple["subprocess.Popen[str]", str, Callable[[str], None]]]:
    """Run `dora run --every 5m`; yield it, its address, and a function that waits for text."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "output"

    def wait_for(text: str) -> None:
        until = time.monotonic() + 120
        while text not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)

    command = [sys.executable, "-m", "cli", "run", "--every", "5m", "--port", str(port)]
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, env=configuration, cwd=folder, stdout=output, stderr=output, text=True
        ) as process,
    ):
        try:
            yield process, f"http://127.0.0.1:{port}", wait_for
        finally:
            process.kill()


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> int:
    """Send a signal; assert that no process of the command survives; return the exit code."""
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    code = process.wait(60)
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []
    return code


def test_figures_are_served_after_the_first_run_until_the_process_is_terminated(
    configuration: dict[str, str], tmp_path: Path
) -> None:
    with running(configuration, tmp_path) as (process, url, wait_for):
        wait_for("serving on")
        assert httpx.get(f"{url}/health").json()["status"] == "ok"
        wait_for("the next run starts at")
        assert "payments" in {team["id"] for team in httpx.get(f"{url}/teams").json()["data"]}
        assert end(process, signal.SIGTERM) == -signal.SIGTERM
    assert "Traceback" not in (tmp_path / "output").read_text()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)]
)
@pytest.mark.parametrize("moment", ["serving on", "pull requests landed", "dbt build: 50 done"])
def test_signal_ends_server_and_run_at_any_time(
    configuration: dict[str, str],
    tmp_path: Path,
    database: Database,
    moment: str,
    number: signal.Signals,
    code: int,
) -> None:
    with running(configuration, tmp_path) as (process, _, wait_for):
        wait_for(moment)
        assert end(process, number) == code
    assert "Traceback" not in (tmp_path / "output").read_text()
    with database.connect() as connection:
        query = "select count(*) from pg_stat_activity where datname = current_database()"
        assert connection.execute(query).fetchone() == (1,)


def test_unavailable_database_fails_the_run_but_not_the_server(
    configuration: dict[str, str], tmp_path: Path
) -> None:
    away = configuration | {"DB_URL": "postgresql://127.0.0.1:1/none"}
    with running(away, tmp_path) as (process, url, wait_for):
        wait_for("the run ended with exit code 69; the next run starts at")
        assert httpx.get(f"{url}/health", timeout=30).status_code == 503
        assert end(process, signal.SIGTERM) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        pytest.param(["--every", "4x"], {}, "'4x' is not a duration", id="no duration"),
        pytest.param(["--every", "4h", "--no-serve"], {}, "leave out --no-serve", id="no server"),
        pytest.param(
            ["--every", "4h"], {"REPOSITORIES": "x"}, "REPOSITORIES", id="invalid configuration"
        ),
        pytest.param(
            ["--every", "4h", "--demo"], {"LOG_LEVEL": "loud"}, "LOG_LEVEL", id="invalid setting"
        ),
    ],
)
def test_faults_end_the_command_before_it_serves(
    configuration: dict[str, str],
    tmp_path: Path,
    arguments: list[str],
    changes: dict[str, str],
    said: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "cli", "run", "--port", str(port), *arguments],
        env=configuration | changes,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "serving on" not in done.stderr
