"""Workflow runs from the REST API: re-runs, late ends, names, permissions."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.delivery_model import Workflow
from demo.github import GitHub
from demo.model import Repository
from demo.rest_api import HIDDEN
from demo.server import Fault, Server, serve
from dora.database import Database
from ingest.run_result import RunResult
from tests.ingest.delivery_truth import commits, reached
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import rows

Ingest = Callable[..., RunResult]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"


@pytest.fixture
def github() -> GitHub:
    return GitHub()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START + timedelta(days=2))


@pytest.fixture
def hub(github: GitHub, clock: SimulatedClock) -> Iterator[Server]:
    now = lambda: clock.now().timestamp()  # noqa: E731
    with serve(github, token=TOKEN, clock=now) as hub:
        yield hub


@pytest.fixture
def shop(github: GitHub) -> Repository:
    repository = github.create_repository("acme/shop", START)
    github.add_commit(repository, START, branch="main")
    return repository


@pytest.fixture
def workflow(github: GitHub, shop: Repository) -> Workflow:
    github.add_workflow(shop, "Tests", ".github/workflows/tests.yml")
    return github.add_workflow(shop, "Deploy production", ".github/workflows/deploy.yml")


@pytest.fixture
def once(ingest: Ingest, clock: SimulatedClock, workflow: Workflow, hub: Server) -> Ingest:
    def run(name: str = "deploy.yml", **changes: Any) -> RunResult:
        rule = {"repositories": ["acme/*"], "source": "workflow", "workflow": name}
        changed = {"repositories": "acme/shop", "clock": clock, "deployments": json.dumps([rule])}
        return ingest(**{**changed, **changes})

    return run


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def found(database: Database) -> list[tuple[Any, ...]]:
    query = """
        select id, status, conclusion, attempts, run_started_at, succeeded_at
        from raw.workflow_runs
        where vanished_at is null
        order by created_at, id
    """
    return [tuple(row.values()) for row in rows(database, query)]


def test_runs_of_the_named_workflow_land_with_their_commits(
    once: Ingest, database: Database, github: GitHub, shop: Repository, workflow: Workflow
) -> None:
    tip = shop.branches["main"]
    runs = [github.start_run(workflow, at(hour / 60), tip) for hour in range(250)]
    for run in runs:
        github.end_run(run, datetime.fromisoformat(run.created_at) + timedelta(minutes=5))
    for name in ("deploy.yml", "Deploy production", ".github/workflows/deploy.yml"):
        assert once(name).messages == []
        assert {row[0] for row in found(database)} == {str(run.id) for run in runs}
    first = found(database)[0]
    assert first[1:4] == ("completed", "success", 1)
    assert first[4:] == (at(0), at(0) + timedelta(minutes=5))
    assert commits(database, shop) == reached(shop, tip)


def test_a_run_that_ends_later_is_read_again(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    workflow: Workflow,
    clock: SimulatedClock,
) -> None:
    waiting = github.start_run(workflow, at(1), shop.branches["main"])
    for hour in range(150):
        github.end_run(
            github.start_run(workflow, at(2 + hour / 60), shop.branches["main"]), at(5), "failure"
        )
    once()
    clock.pass_by(timedelta(days=20).total_seconds())
    github.end_run(waiting, clock.now())
    once()
    assert found(database)[0][1:4] == ("completed", "success", 1)


def test_the_first_attempt_that_succeeded_counts_whatever_comes_after_it(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    workflow: Workflow,
    clock: SimulatedClock,
) -> None:
    run = github.start_run(workflow, at(1), shop.branches["main"])
    github.end_run(run, at(2), "failure")
    github.end_run(github.rerun(run, at(3)), at(4))
    github.end_run(github.rerun(run, at(5)), at(6))
    once()
    expected = (str(run.id), "completed", "success", 3, at(3), at(4))
    assert found(database) == [expected]
    github.end_run(github.rerun(run, at(7)), at(8), "failure")
    clock.pass_by(timedelta(days=1).total_seconds())
    once()
    assert found(database) == [(str(run.id), "completed", "failure", 4, at(3), at(4))]


def test_a_rerun_of_a_failed_run_is_found_within_a_day(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    workflow: Workflow,
    clock: SimulatedClock,
) -> None:
    run = github.end_run(github.start_run(workflow, at(1), shop.branches["main"]), at(2), "failure")
    once()
    again = clock.now()
    github.end_run(github.rerun(run, again), again + timedelta(hours=1))
    clock.pass_by(timedelta(days=1).total_seconds())
    once()
    assert found(database)[0][3:] == (2, again, again + timedelta(hours=1))


def test_a_deleted_run_is_marked(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    workflow: Workflow,
    clock: SimulatedClock,
) -> None:
    for hour in range(3):
        github.end_run(github.start_run(workflow, at(hour), shop.branches["main"]), at(hour + 1))
    once()
    del workflow.runs[1]
    clock.pass_by(timedelta(days=1).total_seconds())
    once()
    assert [row[0] for row in found(database)] == [str(run.id) for run in workflow.runs]


def test_without_the_permission_runs_are_not_measured_and_the_rest_goes_on(
    once: Ingest, database: Database, github: GitHub, shop: Repository, workflow: Workflow
) -> None:
    github.hidden_fields.add(HIDDEN)
    github.add_pull_request(shop, at(1), "ada", title="Work")
    result = once()
    assert (result.exit_code, result.pull_requests) == (1, 1)
    (message,) = result.messages
    assert "the workflow runs of acme/shop are not measured" in message
    assert "Actions: read" in message
    query = """
        select covered_to, unreadable_reason
        from raw.delivery_coverage
        where kind = 'workflow_runs'
    """
    (row,) = rows(database, query)
    assert row["covered_to"] is None
    assert row["unreadable_reason"] == "Resource not accessible by personal access token"
    github.hidden_fields.clear()
    assert once().exit_code == 0
    query = "select 1 from raw.delivery_coverage where unreadable_since is not null"
    assert rows(database, query) == []


def test_a_rest_api_that_fails_for_a_while_is_asked_again(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    workflow: Workflow,
    hub: Server,
    clock: SimulatedClock,
) -> None:
    github.end_run(github.start_run(workflow, at(1), shop.branches["main"]), at(2))
    faults = [
        Fault(status=502, body="<html>"),
        Fault(status=200, body="{"),
        Fault(status=403, body={"message": "rate limit"}, headers={"retry-after": "9"}),
        Fault(reset=True),
    ]

    def fail(operation: str | None, _: Any) -> Fault | None:
        return faults.pop() if operation == "GET" and faults else None

    hub.before_request = fail
    assert once().exit_code == 0
    assert len(found(database)) == 1
    assert 9.0 in clock.waits
