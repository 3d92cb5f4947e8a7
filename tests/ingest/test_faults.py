"""Each fault of GitHub alone: everything lands all the same, at so many requests more."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.github import GitHub
from demo.server import Fault, Server, serve
from dora.database import Database
from ingest.record import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import prs, unlike

Ingest = Callable[..., RunResult]
Answer = dict[str, Any]
TOKEN = "a-token-of-the-tests"
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
# A run over one repository of sixty pull requests, two of them with more reviews than a page holds:
# the name, two pages, what did not fit into them, and whether anything has changed meanwhile.
WITHOUT = ["Resolve", "Walk", "Walk", "Details", "Probe"]


@pytest.fixture
def github() -> GitHub:
    github = GitHub()
    repository = github.create_repository("acme/shop", START)
    for hour in range(60):
        at = START + timedelta(hours=hour)
        pull_request = github.add_pull_request(repository, at, "ada", title=f"Work {hour}")
        github.add_review(pull_request, at + timedelta(minutes=1), "bob", "APPROVED")
    for pull_request in (prs(github)[10], prs(github)[50]):
        for second in range(60):
            at = datetime.fromisoformat(pull_request.created_at) + timedelta(minutes=2)
            github.add_review(pull_request, at + timedelta(seconds=second), "cleo", "COMMENTED")
    return github


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START + timedelta(days=5))


@pytest.fixture
def hub(github: GitHub, clock: SimulatedClock) -> Iterator[Server]:
    with serve(github, token=TOKEN, clock=lambda: clock.now().timestamp()) as hub:
        yield hub


def asked(hub: Server) -> list[str | None]:
    return [request.operation for request in hub.requests]


def said(**content: Any) -> str:
    return json.dumps(content)


def error_of(type: str) -> Fault:
    return Fault(status=200, body=said(errors=[{"type": type, "message": "Not now"}]))


def at_first(operation: str, *faults: Fault) -> Callable[[str | None, Any], Fault | None]:
    """Give these faults, one each, to the first requests of an operation."""
    queue = list(faults)
    return lambda name, variables: queue.pop(0) if name == operation and queue else None


LIMITED_UNTIL = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1768000000"}
PASSING = {
    "500": Fault(status=500, body="<html>"),
    "502": Fault(status=502, body="<html>"),
    "503": Fault(status=503, body=""),
    "504": Fault(status=504, body=""),
    "no answer in time": Fault(delay=0.5),
    "reset": Fault(reset=True),
    "cut in mid-body": Fault(cut=300),
    "HTML": Fault(status=200, body="<html>Unicorn!</html>"),
    "half of its JSON": Fault(status=200, body='{"data": {"nodes": [{"id": "R_'),
    "a list": Fault(status=200, body="[]"),
    "nothing in it": Fault(status=200, body=said(data=None)),
    "something went wrong": Fault(status=200, body=said(errors=[{"message": "Something"}])),
    "RESOURCE_LIMITS_EXCEEDED": error_of("RESOURCE_LIMITS_EXCEEDED"),
    "MAX_NODE_LIMIT_EXCEEDED": error_of("MAX_NODE_LIMIT_EXCEEDED"),
    "RATE_LIMITED in a 200": error_of("RATE_LIMITED"),
    "RATE_LIMIT in a 200": error_of("RATE_LIMIT"),
    "403 with a time to wait": Fault(status=403, headers={"Retry-After": "60"}, body="{}"),
    "403 with a reset": Fault(status=403, headers=LIMITED_UNTIL, body="{}"),
    "403 secondary": Fault(
        status=403, body=said(message="You have exceeded a secondary rate limit")
    ),
    "429": Fault(status=429, body="Too many requests"),
}


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        *(("Walk", name) for name in PASSING),
        *((name, "502") for name in ("Resolve", "Details", "Probe")),
        *((name, "RATE_LIMITED in a 200") for name in ("Resolve", "Details", "Probe")),
    ],
)
def test_what_passes_costs_one_request_more(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    hub: Server,
    clock: SimulatedClock,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    name: str,
) -> None:
    monkeypatch.setattr("ingest.github.client.TIMEOUT", 0.3)
    hub.before_request = at_first(operation, PASSING[name])
    result = ingest(repositories="acme/shop", clock=clock)
    assert result.exit_code == 0
    assert unlike(database, github) == []
    assert sum(result.usage.errors.values()) == 1
    more = Counter(asked(hub)) - Counter(WITHOUT)
    # A page asked again may be half as long; then there may be one more of it.
    assert more in (Counter([operation]), Counter([operation, "Walk"]))
