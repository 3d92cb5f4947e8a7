"""Waits for GitHub's rate limits: their length, the reserve of points, loading during a wait."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from demo.github import GitHub as DemoGitHub
from demo.server import Fault, Server
from dora.database import Database
from dora.errors import DoraError
from ingest.clock import Budget, SystemClock
from ingest.github.client import GitHub
from ingest.github.credentials import TokenAuth
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.test_faults import START, TOKEN, clock, github, hub
from tests.ingest.truth import rows

__all__ = ["clock", "github", "hub"]

Ingest = Callable[..., RunResult]


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_the_longer_of_two_limits_holds(hub: Server, first: int, second: int) -> None:
    """One stream already waits when the other meets a limit that ends later or earlier."""
    asked_at: list[float] = []
    faults = [
        Fault(status=403, headers={"Retry-After": f"{first}"}, body="{}"),
        Fault(status=403, headers={"Retry-After": f"{second}"}, body="{}", delay=0.3),
    ]

    def note(operation: str | None, variables: Any) -> Fault | None:
        asked_at.append(time.monotonic())
        return faults.pop(0) if faults else None

    async def two() -> None:
        clock = SystemClock()
        async with GitHub(hub.url, TokenAuth(SecretStr(TOKEN)), clock, Budget(clock)) as github:
            await asyncio.gather(*(github.query("there", {}) for _ in range(2)))

    hub.before_request = note
    asyncio.run(two())
    assert min(asked_at[2:]) - asked_at[0] >= max(first, second + 0.2)


@pytest.mark.parametrize("limit", range(101, 111))
def test_the_reserve_is_never_touched(
    ingest: Ingest, github: DemoGitHub, hub: Server, clock: SimulatedClock, limit: int
) -> None:
    """This holds for requests of any cost, with others in flight."""
    for number in range(6):
        repository = github.create_repository(f"acme/tool-{number}", START)
        for minute in range(60):
            at = START + timedelta(minutes=minute)
            github.add_pull_request(repository, at, "ada", title="Work")
    hub.points.limit = limit
    result = ingest(repositories="acme/*", clock=clock, seconds=600, github_reserve=90)
    assert result.status == "wait"
    assert limit - hub.points.used >= 90


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of a server whose answer comes byte by byte and never ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        is_over = threading.Event()

        def answer(connection: socket.socket) -> None:
            with connection:
                connection.recv(65536)
                head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
                try:
                    connection.sendall(head)
                    while not is_over.wait(0.05):
                        connection.sendall(b" ")
                except OSError:
                    return

        def accept() -> None:
            while not is_over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        is_over.set()
        listener.shutdown(socket.SHUT_RDWR)


def test_endless_slow_response_times_out(
    dripping: str, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeout between two bytes is never reached."""
    monkeypatch.setattr("ingest.github.client.TIMEOUT", httpx.Timeout(5.0))
    monkeypatch.setattr("ingest.github.client.LONGEST_REQUEST", 0.2)

    async def one() -> None:
        async with GitHub(dripping, TokenAuth(SecretStr("t")), clock, Budget(clock)) as github:
            await asyncio.wait_for(github.query("there", {}), 30)

    with pytest.raises(DoraError, match="did not answer there after 7 attempts"):
        asyncio.run(one())


def test_what_has_been_read_lands_before_a_long_wait(
    ingest: Ingest,
    database: Database,
    github: DemoGitHub,
    hub: Server,
    clock: SimulatedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ingest.fetch_and_load.LAND_EVERY", 0.5)
    for minute in range(130):
        at = START + timedelta(hours=70, minutes=minute)
        github.add_pull_request(github.repository("acme/shop"), at, "ada", title="Work")
    landed: list[int] = []

    async def sleep(seconds: float) -> None:
        if seconds > 1000:
            # Give the loading time, as the real wait of an hour would.
            until = time.monotonic() + 60
            landed.append(0)
            while landed[-1] < 124 and time.monotonic() < until:
                await asyncio.sleep(0.2)
                landed[-1] = rows(database, "select count(*) as n from raw.pull_requests")[0]["n"]
        clock.pass_by(seconds)

    walks = 0

    def limit(operation: str | None, variables: Any) -> Fault | None:
        nonlocal walks
        walks += operation == "Walk"
        headers = {"Retry-After": "3600"}
        is_third = operation == "Walk" and walks == 3
        return Fault(status=403, headers=headers, body="{}") if is_third else None

    clock.sleep = sleep  # type: ignore[method-assign]
    hub.before_request = limit
    assert ingest(repositories="acme/shop", clock=clock).exit_code == 0
    assert landed == [124]
