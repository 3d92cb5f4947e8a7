"""A temporary or partial answer of GitHub must not mark, lose or claim anything.

Each of these is a regression: a successful run with a wrong row or coverage, or a repeated failure.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from demo.github import GitHub
from demo.server import Fault, Server
from dora.database import Database
from dora.errors import ConfigurationError
from ingest.dead_letters import ask_for_retry
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.test_faults import START, at_first, clock, hub, too_much_for
from tests.ingest.truth import rows, unlike

__all__ = ["clock", "hub"]

Ingest = Callable[..., RunResult]
Answer = dict[str, Any]
BOTH = "acme/shop,acme/tool"
MOST_OF_IT = 70
_VANISHED = "select id from raw.pull_requests where vanished_at is not null"
_OPEN = "select subject_id, reason from raw.ingest_failures where resolved_at is null"
WEEK_SECONDS = 8 * 86400


@pytest.fixture
def github() -> GitHub:
    """`acme/shop` with seventy pull requests and a review each, and `acme/tool` with three."""
    github = GitHub()
    shop, tool = (github.create_repository(f"acme/{name}", START) for name in ("shop", "tool"))
    for hour in range(MOST_OF_IT):
        at = START + timedelta(hours=hour)
        pull_request = github.add_pull_request(shop, at, "ada", title=f"Work {hour}")
        github.add_review(pull_request, at + timedelta(minutes=1), "bob", "APPROVED")
    for hour in range(3):
        github.add_pull_request(tool, START + timedelta(hours=hour), "ada", title="A tool")
    return github


@pytest.fixture
def run(ingest: Ingest, clock: SimulatedClock) -> Callable[..., RunResult]:
    """Ingest both repositories, an hour after the previous run."""

    def once(**changes: Any) -> RunResult:
        clock.pass_by(3600)
        return ingest(**({"repositories": BOTH, "clock": clock} | changes))

    return once


def vanished(database: Database) -> int:
    return len(rows(database, _VANISHED))


def stale(database: Database, github: GitHub) -> list[str]:
    return [line for line in unlike(database, github) if not line.startswith("missing")]


def delete_at(hub: Server, github: GitHub, operation: str, name: str) -> None:
    """Delete a repository at the first request of an operation."""
    is_done = False

    def before(asked: str | None, variables: Any) -> None:
        nonlocal is_done
        if asked == operation and not is_done:
            is_done = True
            github.delete_repository(github.repository(name))

    hub.before_request = before


def test_a_narrowed_run_says_nothing_of_what_it_did_not_look_at(
    run: Any, database: Database, github: GitHub, clock: SimulatedClock
) -> None:
    run()
    github.delete_repository(github.repository("acme/tool"))
    clock.pass_by(WEEK_SECONDS)
    assert run(only=["acme/shop"]).exit_code == 0
    assert vanished(database) == 0


def test_a_repository_deleted_as_it_is_repaired_takes_no_row_along(
    run: Any, database: Database, github: GitHub, hub: Server
) -> None:
    run()
    github.delete_pull_request(github.pull_request("acme/shop", 5))
    delete_at(hub, github, "Walk", "acme/shop")
    assert run().exit_code == 1
    assert vanished(database) == 0


def test_a_repository_deleted_as_its_pull_requests_are_read_again_takes_none_along(
    run: Any, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    run()
    clock.pass_by(WEEK_SECONDS)
    delete_at(hub, github, "PullRequests", "acme/tool")
    run()
    assert vanished(database) == 0


def test_a_retry_in_a_repository_that_is_lost_waits(
    run: Any, database: Database, github: GitHub, clock: SimulatedClock
) -> None:
    run()
    unreadable = github.pull_request("acme/tool", 2)
    github.edit(unreadable, clock.now(), is_unreadable=True)
    run()
    ask_for_retry(database, None, clock.now())
    github.block_repository(unreadable.repository)
    run()
    assert vanished(database) == 0
    github.block_repository(unreadable.repository, None)
    github.edit(unreadable, None, is_unreadable=False)
    run()
    assert rows(database, _OPEN) == []


@pytest.mark.parametrize(
    "path",
    [
        ("author",),
        ("mergedAt",),
        ("closedAt",),
        ("mergeCommit",),
        ("reviews", "nodes", 0, "author"),
    ],
    ids=lambda path: path[0],
)
def test_a_null_with_an_error_beside_it_is_not_taken_for_none(
    run: Any, database: Database, github: GitHub, hub: Server, path: tuple[Any, ...]
) -> None:
    for number in range(40, 50):
        github.merge(github.pull_request("acme/shop", number), START + timedelta(hours=72), "bob")

    def spoil(answer: Answer) -> Answer:
        nodes = answer["data"]["nodes"][0]["pullRequests"]["nodes"]
        position = next(i for i, node in enumerate(nodes) if node["state"] == "MERGED")
        inner = nodes[position]
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = None
        place = ["nodes", 0, "pullRequests", "nodes", position, *path]
        return answer | {"errors": [{"message": "Something went wrong", "path": place}]}

    hub.before_request = at_first("Walk", Fault(rewrite=spoil))
    assert run(repositories="acme/shop").exit_code == 0
    assert stale(database, github) == []
    assert rows(database, _OPEN) == []


@pytest.mark.parametrize("times", [1, 99], ids=["once", "throughout the run"])
def test_a_null_of_a_repository_without_good_reason_is_not_its_end(
    run: Any, database: Database, github: GitHub, hub: Server, clock: SimulatedClock, times: int
) -> None:
    run()
    github.edit(github.pull_request("acme/tool", 1), clock.now(), title="News")
    before = clock.now()

    def lose(answer: Answer) -> Answer:
        answer["data"]["nodes"][0] = None
        return answer | {"errors": [{"message": "Something went wrong", "path": ["nodes", 0]}]}

    hub.before_request = at_first("Walk", *[Fault(rewrite=lose)] * times)
    result = run()
    assert result.exit_code == (0 if times == 1 else 1)
    assert (
        rows(database, "select 1 from raw.repositories where unreachable_since is not null") == []
    )
    assert (stale(database, github) == []) == (times == 1)
    if times > 1:
        assert result.as_of is not None
        assert result.as_of <= before
        assert any("could not be read in this run" in message for message in result.messages)
    hub.before_request = None
    assert run().exit_code == 0
    assert stale(database, github) == []


def test_a_cursor_that_github_refuses_begins_the_walk_again(
    run: Any, database: Database, github: GitHub, hub: Server
) -> None:
    refused: list[str] = []

    def refuse(answer: Answer) -> Answer:
        answer["data"]["nodes"][0]["pullRequests"] = None
        path = ["nodes", 0, "pullRequests"]
        error = {"type": "INVALID_CURSOR_ARGUMENTS", "path": path, "message": "No valid cursor"}
        return answer | {"errors": [error]}

    def before(operation: str | None, variables: Any) -> Fault | None:
        if operation != "Walk" or not variables["after"]:
            return None
        if not refused:
            refused.append(variables["after"])
        return Fault(rewrite=refuse) if variables["after"] in refused else None

    hub.before_request = before
    run(repositories="acme/shop")
    hub.before_request = None
    assert run(repositories="acme/shop").exit_code == 0
    assert [line for line in unlike(database, github) if "tool" not in line][3:] == []


@pytest.mark.parametrize("depth", ["repository", "pull request"])
def test_a_null_behind_a_null_is_found_in_the_end(
    run: Any, database: Database, github: GitHub, hub: Server, clock: SimulatedClock, depth: str
) -> None:
    run(repositories="acme/shop")
    github.merge(github.pull_request("acme/shop", 7), clock.now(), "bob")

    def lose(answer: Answer, of: str = "pull request") -> Answer:
        nodes = answer["data"]["nodes"]
        path: list[Any] = ["nodes"]
        if of == "pull request":
            nodes = nodes[0]["pullRequests"]["nodes"]
            path += [0, "pullRequests", "nodes"]
        nodes[0] = None
        return answer | {"errors": [{"message": "Something went wrong", "path": [*path, 0]}]}

    faults = {
        "Walk": [Fault(rewrite=lose)],
        "Ids": [Fault(rewrite=lambda answer: lose(answer, depth))],
    }
    hub.before_request = lambda name, variables: (
        faults[name].pop() if name and faults.get(name) else None
    )
    run(repositories="acme/shop")
    run(repositories="acme/shop")
    clock.pass_by(WEEK_SECONDS)
    run(repositories="acme/shop")
    assert stale(database, github) == []
    assert rows(database, _OPEN) == []


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "never held"])
def test_a_failure_of_what_vanishes_is_closed(
    run: Any, database: Database, github: GitHub, clock: SimulatedClock, is_held: bool
) -> None:
    if is_held:
        run()
    unreadable = github.pull_request("acme/shop", 7)
    clock.pass_by(3600)
    github.edit(unreadable, clock.now(), is_unreadable=True)
    run()
    assert len(rows(database, _OPEN)) == 1
    github.delete_pull_request(unreadable)
    clock.pass_by(WEEK_SECONDS)
    run()
    run()
    assert rows(database, _OPEN) == []
    assert vanished(database) == is_held


def test_a_first_page_that_cannot_be_used_covers_no_history(
    run: Any, database: Database, github: GitHub, hub: Server
) -> None:
    newest = github.pull_request("acme/shop", MOST_OF_IT)

    def before(operation: str | None, variables: Any) -> Fault | None:
        if operation == "Walk" and variables["after"]:
            return Fault(status=503)
        return Fault(rewrite=too_much_for(newest.id))

    hub.before_request = before
    assert run(repositories="acme/shop").exit_code == 69
    [row] = rows(database, "select covered_from, covered_to from raw.repositories")
    assert row["covered_from"] is not None or row["covered_to"] is None


def test_an_earlier_since_within_what_is_read_already_is_taken_up(
    run: Any, database: Database
) -> None:
    for hours in (50, 20):
        run(repositories="acme/shop", since=START + timedelta(hours=hours))
    covered = rows(database, "select covered_from from raw.repositories")
    assert covered == [{"covered_from": START + timedelta(hours=20)}]


def test_a_newest_pull_request_that_stays_unreadable_makes_no_walk_over_everything(
    run: Any, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    github.edit(github.pull_request("acme/shop", MOST_OF_IT), clock.now(), is_unreadable=True)
    run()
    hub.requests.clear()
    run()
    assert Counter(request.operation for request in hub.requests)["Walk"] == 1


def test_a_reserve_that_leaves_nothing_is_refused(run: Any) -> None:
    with pytest.raises(ConfigurationError, match="GITHUB_RESERVE 5000 leaves no points"):
        run(github_reserve=5000)


def test_a_limit_met_when_it_is_asked_whether_github_is_there_says_until_when(
    run: Any, hub: Server
) -> None:
    faults = {
        "Walk": Fault(status=503),
        "There": Fault(status=403, headers={"Retry-After": "1800"}, body="{}"),
    }
    hub.before_request = lambda operation, variables: faults.get(str(operation))
    result = run(seconds=600)
    assert (result.status, result.exit_code) == ("wait", 75)
    assert result.resume_at is not None


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(headers={"x-ratelimit-remaining": "many"}), id="remaining"),
        pytest.param(Fault(headers={"x-ratelimit-reset": "never"}), id="reset"),
        pytest.param(Fault(status=429, headers={"Retry-After": "9" * 15}, body="{}"), id="wait"),
        pytest.param(Fault(status=200, body='{"data": {}}'), id="no data"),
        pytest.param(Fault(status=200, body='{"data": {"nodes": null}}'), id="no nodes"),
        pytest.param(Fault(status=200, body='{"errors": "no"}'), id="errors in words"),
        pytest.param(Fault(status=200, body='{"errors": ["no"]}'), id="a list of words"),
        pytest.param(Fault(status=408, body=""), id="408"),
    ],
)
def test_what_makes_no_sense_is_asked_again(run: Any, hub: Server, fault: Fault) -> None:
    hub.before_request = at_first("Walk", fault)
    assert run().exit_code == 0


def busy_pull_request(github: GitHub) -> None:
    """Give a pull request more labels, reviews and draft events than a page holds."""
    busy = github.pull_request("acme/shop", 7)
    github.edit(busy, None, labels=[f"area/{number:03d}" for number in range(60)])
    for second in range(120):
        at = START + timedelta(days=1, seconds=second)
        github.add_review(busy, at, "bob", "COMMENTED")
        github.convert_to_draft(busy, at)


def spoil_details(name: str, *, with_error: bool) -> Callable[[Answer], Answer]:
    """Replace a node by null in a follow-up page of this connection."""

    def spoil(answer: Answer) -> Answer:
        for alias, node in answer["data"].items():
            if alias.startswith("c") and name in (node or {}):
                node[name]["nodes"][3] = None
                path = [alias, name, "nodes", 3]
                error = {"message": "Something went wrong", "path": path}
                return answer | ({"errors": [error]} if with_error else {})
        return answer

    return spoil


@pytest.mark.parametrize("name", ["reviews", "timelineItems", "labels"])
@pytest.mark.parametrize("with_error", [True, False], ids=["with an error", "without"])
def test_null_in_a_follow_up_page_is_asked_for_again_in_the_same_run(
    run: Any, database: Database, github: GitHub, hub: Server, name: str, with_error: bool
) -> None:
    busy_pull_request(github)
    hub.before_request = at_first(
        "Details", Fault(rewrite=spoil_details(name, with_error=with_error))
    )
    assert run().exit_code == 0
    assert unlike(database, github) == []
    assert rows(database, _OPEN) == []


def test_pull_request_with_a_lasting_null_is_named_and_tried_in_every_run_for_a_day(
    run: Any, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    busy_pull_request(github)
    spoil = Fault(rewrite=spoil_details("reviews", with_error=True))
    hub.before_request = lambda operation, variables: spoil if operation == "Details" else None
    for _ in range(3):
        result = run()
        assert (result.exit_code, result.pull_requests_failed) == (1, 1)
        assert "acme/shop#7 could not be read" in result.messages[-1]
    clock.pass_by(86400)
    assert run().exit_code == 0
    hub.requests.clear()
    assert run().exit_code == 0
    assert [request.operation for request in hub.requests] == ["Probe"]
    hub.before_request = None
    clock.pass_by(WEEK_SECONDS)
    assert run().exit_code == 0
    assert rows(database, _OPEN) == []
    assert unlike(database, github) == []


def test_pull_request_that_comes_back_within_the_day_lands_in_the_next_run(
    run: Any, database: Database, github: GitHub, hub: Server
) -> None:
    busy_pull_request(github)
    spoil = Fault(rewrite=spoil_details("reviews", with_error=True))
    hub.before_request = lambda operation, variables: spoil if operation == "Details" else None
    assert run().exit_code == 1
    hub.before_request = None
    assert run().exit_code == 0
    assert rows(database, _OPEN) == []
    assert unlike(database, github) == []


@pytest.mark.parametrize("operation", ["Resolve", "Probe", "Owned", "PullRequests", "Ids"])
def test_null_with_an_error_in_a_list_is_asked_for_again_in_the_same_run(
    run: Any, database: Database, github: GitHub, hub: Server, clock: SimulatedClock, operation: str
) -> None:
    """Each kind of list: of names, of an owner, of ids."""
    repositories = "acme/*" if operation == "Owned" else BOTH
    if operation != "Resolve":
        run(repositories=repositories)
        clock.pass_by(WEEK_SECONDS)
        for number in range(30, 60):
            github.edit(github.pull_request("acme/shop", number), clock.now(), title="News")

    def lose(answer: Answer) -> Answer:
        data, path = answer["data"], ["nodes", 0]
        if operation == "Resolve":
            data["r0"], path = None, ["r0"]
        elif operation == "Owned":
            path = ["repositoryOwner", "repositories", "nodes", 0]
            data["repositoryOwner"]["repositories"]["nodes"][0] = None
        else:
            data["nodes"][0] = None
        return answer | {"errors": [{"message": "Something went wrong", "path": path}]}

    def lose_one_of_a_page(answer: Answer) -> Answer:
        answer["data"]["nodes"][0]["pullRequests"]["nodes"][1] = None
        return answer

    faults = {operation: [Fault(rewrite=lose)]}
    if operation == "Ids":
        faults["Walk"] = [Fault(rewrite=lose_one_of_a_page)]
    lost: list[str] = []

    def before(asked: str | None, variables: Any) -> Fault | None:
        queue = faults.get(str(asked))
        if not queue:
            return None
        lost.append(str(asked))
        return queue.pop()

    hub.before_request = before
    result = run(repositories=repositories)
    assert operation in lost
    assert (result.exit_code, result.messages) == (0, [])
    assert unlike(database, github) == []
