import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from demo.github import GitHub
from demo.records import write_jsonl

SERVE = [sys.executable, "-m", "demo", "serve", "--pull-requests", "120"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SERVE, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ready(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    line: dict[str, object] = json.loads(process.stdout.readline())
    return line


def hang_up(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("stop", [subprocess.Popen.terminate, hang_up], ids=["SIGTERM", "stdin"])
def test_it_serves_the_organisation_until_told_to_stop(
    stop: Callable[[subprocess.Popen[str]], None], tmp_path: Path
) -> None:
    process = start("--token", "t", "--teams-out", str(tmp_path / "teams.json"))
    said = ready(process)
    assert said["token"] == "t"
    assert "harborlight/ledger" in said["repositories"]  # type: ignore[operator]
    response = httpx.post(
        f"{said['url']}/graphql",
        json={"query": "{ rateLimit { cost } }"},
        headers={"authorization": "bearer t"},
    )
    assert response.json() == {"data": {"rateLimit": {"cost": 1}}}
    assert response.headers["date"].startswith("Fri, 26 Jun 2026 16:1")
    teams = json.loads((tmp_path / "teams.json").read_text("utf-8"))
    assert {"payments", "growth"} <= {team["id"] for team in teams}
    stop(process)
    assert process.wait(10) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.post(f"{said['url']}/graphql", json={})


def test_it_serves_a_file(github: GitHub, tmp_path: Path) -> None:
    write_jsonl(github.records(), tmp_path / "acme.jsonl")
    process = start("--jsonl", str(tmp_path / "acme.jsonl"))
    assert ready(process)["repositories"] == ["acme/api"]
    hang_up(process)
    assert process.wait(10) == 0


def test_it_stops_when_its_parent_is_killed() -> None:
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({SERVE!r}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    if is_alive(child):
        os.kill(child, signal.SIGKILL)
        pytest.fail("the server outlived the process that started it")


def is_alive(pid: int) -> bool:
    """Whether it is running and not a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
