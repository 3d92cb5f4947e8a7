"""The number of rows is compared with GitHub's; rows deleted on GitHub are marked and kept."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from demo.github import GitHub
from demo.model import PullRequest
from demo.organisation import Organisation
from demo.server import Fault, Server
from dora.database import Database
from ingest.github.adaptive_page_size import PAGE
from ingest.github.checkpoint import Checkpoint, Counted, Difference, Walk
from ingest.repositories_to_sync import Known
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import prs, rows, unlike

Ingest = Callable[..., RunResult]
_VANISHED = "select id from raw.pull_requests where vanished_at is not null"


@pytest.fixture
def clock(organisation: Organisation) -> SimulatedClock:
    return SimulatedClock(datetime.fromisoformat(organisation.end))


def after(organisation: Organisation, minutes: int) -> datetime:
    return datetime.fromisoformat(organisation.end) + timedelta(minutes=minutes)


def vanished(database: Database) -> set[str]:
    return {row["id"] for row in rows(database, _VANISHED)}


def test_pull_requests_that_vanish_are_marked_and_kept(
    ingest: Ingest, database: Database, github: GitHub, organisation: Organisation
) -> None:
    ingest()
    gone = [prs(github)[0], prs(github)[5]]
    for pull_request in gone:
        github.delete_pull_request(pull_request)
    github.edit(prs(github)[0], after(organisation, 30))
    ingest()
    assert vanished(database) == {pull_request.id for pull_request in gone}
    assert set(unlike(database, github)) == {f"too much {key}" for key in vanished(database)}


def _count_more(answer: dict[str, Any], more: int) -> dict[str, Any]:
    for node in answer["data"]["nodes"]:
        node["pullRequests"]["totalCount"] += more
    return answer


def _count_one_more(answer: dict[str, Any]) -> dict[str, Any]:
    return _count_more(answer, 1)


def test_a_difference_that_stays_is_looked_into_once(
    ingest: Ingest, github: GitHub, hub: Server, organisation: Organisation
) -> None:
    """If GitHub counts a pull request but never returns it, a row is always missing."""
    ingest()
    hub.before_request = lambda operation, variables: (
        Fault(rewrite=_count_one_more) if operation == "Probe" else None
    )
    costs = []
    for minutes in (30, 60):
        github.edit(prs(github)[1], after(organisation, minutes))
        hub.requests.clear()
        ingest()
        costs.append([request.operation for request in hub.requests])
    assert costs[1] == ["Probe", "Walk", "Probe"]


def test_open_pull_requests_are_read_again_after_a_week(
    ingest: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    """Some changes, such as a force-push of the first commit, do not change `updatedAt`."""
    clock = SimulatedClock()
    ingest(clock=clock)
    changed = next(pr for pr in prs(github) if pr.state == "OPEN")
    github.edit(changed, None, additions=12345)
    clock.pass_by(6 * 86400)
    ingest(clock=clock)
    assert unlike(database, github) != []
    clock.pass_by(86400)
    ingest(clock=clock)
    assert unlike(database, github) == []
    hub.requests.clear()
    ingest(clock=clock)
    assert [request.operation for request in hub.requests] == ["Probe"]


@pytest.mark.parametrize("how_many", [1, 2])
def test_what_vanishes_after_a_walk_under_which_others_were_opened_is_marked_too(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    hub: Server,
    clock: SimulatedClock,
    how_many: int,
) -> None:
    """GitHub counts more after the walk than before it; such a difference is not recorded."""
    ingest(clock=clock)
    repository = prs(github)[0].repository
    first, *others = list(repository.by_number.values())[: how_many + 1]
    github.delete_pull_request(first)
    clock.pass_by(3600)
    opened: list[PullRequest] = []

    def open_them(operation: str | None, variables: Any) -> None:
        if operation == "Walk" and not opened:
            opened.extend(
                github.add_pull_request(repository, clock.now(), None, title="Opened meanwhile")
                for _ in range(how_many)
            )

    hub.before_request = open_them
    ingest(clock=clock)
    assert opened
    for pull_request in others:
        github.delete_pull_request(pull_request)
    clock.pass_by(3600)
    ingest(clock=clock)
    assert vanished(database) == {pull_request.id for pull_request in (first, *others)}


@pytest.mark.parametrize("times", [1, 2])
def test_what_vanishes_just_behind_a_walk_is_marked_by_the_next_run(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    hub: Server,
    clock: SimulatedClock,
    times: int,
) -> None:
    """The remaining difference is the same each time, but it is not a miscount of GitHub."""
    ingest(clock=clock)
    first, *others = list(prs(github)[0].repository.by_number.values())[: times + 1]
    github.delete_pull_request(first)
    gone = [first.id]
    asked: list[str | None] = []

    def delete_behind(operation: str | None, variables: Any) -> None:
        asked.append(operation)
        if asked[-2:] == ["Probe", "Probe"] and others:
            gone.append(others[0].id)
            github.delete_pull_request(others.pop(0))

    hub.before_request = delete_behind
    for run in range(1, times + 2):
        clock.pass_by(3600)
        asked.clear()
        ingest(clock=clock)
        assert vanished(database) == set(gone[:run])
    asked.clear()
    ingest(clock=clock)
    assert asked == ["Probe"]


def test_a_difference_that_stays_is_looked_into_again_after_a_month(
    ingest: Ingest, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    hub.before_request = lambda operation, variables: (
        Fault(rewrite=_count_one_more) if operation == "Probe" else None
    )
    walks = []
    for days in (0, 1, 28, 1, 1):
        clock.pass_by(timedelta(days=days).total_seconds())
        hub.requests.clear()
        ingest(clock=clock)
        walks.append(sum(request.operation == "Walk" for request in hub.requests))
    first, *later = walks
    # One further walk is of the empty repository, where GitHub counts one and shows none.
    assert [walk > 2 for walk in later] == [False, False, True, False]
    assert first > 7


def test_a_difference_that_stays_is_settled_where_something_is_opened_under_every_walk(
    ingest: Ingest, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    ingest(clock=clock)
    repository = prs(github)[0].repository
    walked, more = 0, 1

    def before(operation: str | None, variables: Any) -> Fault | None:
        nonlocal walked
        is_of_all = operation == "Walk" and variables["first"] == PAGE
        if is_of_all and variables["ids"] == [repository.id] and variables["after"] is None:
            walked += 1
            github.add_pull_request(repository, clock.now(), None, title="Opened meanwhile")
        rewrite = partial(_count_more, more=more)
        return Fault(rewrite=rewrite) if operation == "Probe" else None

    hub.before_request = before
    walks = []
    # The second is a new difference, which is examined as often.
    for counted in (1, 1, 1, 2, 2, 2):
        more = counted
        clock.pass_by(3600)
        ingest(clock=clock)
        walks.append(walked)
    assert walks == [1, 2, 2, 3, 4, 4]


def test_what_has_vanished_is_asked_about_again_where_github_says_nothing_of_its_repository(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    """Until GitHub answers, no difference counts as its miscount."""
    ingest(clock=clock)
    gone = prs(github)[0]
    github.delete_pull_request(gone)
    clock.pass_by(3600)
    asked: list[str | None] = []

    def lose(answer: dict[str, Any]) -> dict[str, Any]:
        answer["data"]["nodes"] = [None for _ in answer["data"]["nodes"]]
        return answer

    def before(operation: str | None, variables: Any) -> Fault | None:
        asked.append(operation)
        return Fault(rewrite=lose) if asked[-2:] == ["PullRequests", "Probe"] else None

    hub.before_request = before
    ingest(clock=clock)
    assert vanished(database) == set()
    hub.before_request = None
    ingest(clock=clock)
    assert vanished(database) == {gone.id}


def test_a_walk_over_an_empty_repository_reads_back_from_the_state(clock: SimulatedClock) -> None:
    """GitHub counts one pull request and shows none, so `newest` is None."""
    counted = Counted(pull_requests=1, newest=None)
    walk = Walk(began_at=clock.now())
    known = Known(progress={"R": Checkpoint(repair=walk, repair_after="1", repair_of=counted)})
    known.differences["R"] = Difference(rows=-1, at=clock.now(), is_settled=False)
    again = Known.from_state(json.loads(json.dumps(known.state())), [])
    assert (again.progress, again.differences) == (known.progress, known.differences)
