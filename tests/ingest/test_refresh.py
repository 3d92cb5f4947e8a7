"""`dora ingest --refresh` reads all loaded data again, including changes without a trace."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from demo.github import GitHub
from demo.organisation import Organisation
from demo.server import Fault, Server
from dora.database import Database
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import counts, landed, prs, rows, unlike

Ingest = Callable[..., RunResult]
_COVERED = "select id, covered_from, covered_to from raw.repositories order by id"
_VANISHED = "select id from raw.pull_requests where vanished_at is not null"


@pytest.fixture
def clock(organisation: Organisation) -> SimulatedClock:
    return SimulatedClock(datetime.fromisoformat(organisation.end))


def change_all(github: GitHub) -> None:
    """Change every pull request but not its `updatedAt`."""
    for pull_request in prs(github):
        github.edit(pull_request, None, additions=pull_request.additions + 1)


def read_again(database: Database, github: GitHub) -> set[str]:
    """The ids of pull requests whose silent change is loaded."""
    found = landed(database)
    return {pr.id for pr in prs(github) if found[pr.id]["additions"] == pr.additions}


def test_refresh_reads_everything_again_and_loses_and_doubles_nothing(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    ingest(clock=clock)
    before, covered = counts(database), rows(database, _COVERED)
    clock.pass_by(3600)
    change_all(github)
    assert ingest(clock=clock).pull_requests == 0
    assert read_again(database, github) == set()
    refreshed = ingest(clock=clock, refresh=True)
    assert refreshed.pull_requests == len(prs(github))
    assert unlike(database, github) == []
    assert counts(database) == before
    for row, earlier in zip(rows(database, _COVERED), covered, strict=True):
        assert row["covered_from"] is None
        assert row["covered_to"] >= earlier["covered_to"]
    hub.requests.clear()
    ingest(clock=clock)
    assert [request.operation for request in hub.requests] == ["Probe"]


def test_refresh_marks_what_vanished_where_no_numbers_are_compared(
    ingest: Ingest, database: Database, github: GitHub, clock: SimulatedClock
) -> None:
    """After `--since` only a part is loaded, so counts cannot be compared with GitHub's."""
    since = clock.now() - timedelta(days=60)
    ingest(clock=clock, since=since)
    gone = max(prs(github), key=lambda pull_request: pull_request.updated_at)
    github.delete_pull_request(gone)
    ingest(clock=clock)
    assert rows(database, _VANISHED) == []
    ingest(clock=clock, refresh=True)
    assert rows(database, _VANISHED) == [{"id": gone.id}]


def test_refresh_of_one_repository_leaves_the_others_alone(
    ingest: Ingest, database: Database, github: GitHub, clock: SimulatedClock
) -> None:
    ingest(clock=clock)
    change_all(github)
    one = prs(github)[0].repository
    ingest(clock=clock, refresh=True, only=[one.name_with_owner])
    assert read_again(database, github) == {pr.id for pr in one.by_number.values()}


def updated_since(github: GitHub, since: datetime) -> set[str]:
    return {pr.id for pr in prs(github) if datetime.fromisoformat(pr.updated_at) >= since}


def test_refresh_since_a_date_goes_back_to_that_date(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    ingest(clock=clock)
    change_all(github)
    covered = rows(database, _COVERED)
    since = clock.now() - timedelta(days=30)
    hub.requests.clear()
    ingest(clock=clock, refresh=True, since=since)
    newer, found = updated_since(github, since), read_again(database, github)
    assert 0 < len(newer) < len(prs(github))
    assert newer <= found
    assert found < {pr.id for pr in prs(github)}
    # Older pull requests are neither walked over nor fetched one by one.
    assert "PullRequests" not in {request.operation for request in hub.requests}
    assert [row["covered_from"] for row in rows(database, _COVERED)] == [None] * len(covered)


def test_refresh_reads_no_more_than_an_earlier_since_has_loaded(
    ingest: Ingest, database: Database, github: GitHub, clock: SimulatedClock
) -> None:
    since = clock.now() - timedelta(days=60)
    ingest(clock=clock, since=since)
    change_all(github)
    loaded, covered = set(landed(database)), rows(database, _COVERED)
    ingest(clock=clock, refresh=True)
    found = landed(database)
    assert set(found) == loaded
    by_id = {pr.id: pr for pr in prs(github)}
    for key in updated_since(github, since):
        assert found[key]["additions"] == by_id[key].additions
    assert [row["covered_from"] for row in rows(database, _COVERED)] == [
        row["covered_from"] for row in covered
    ]


def test_a_refresh_that_is_cut_off_is_continued_by_the_next_ingest(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    ingest(clock=clock)
    before = counts(database)
    change_all(github)
    walked = 0

    def limit(operation: str | None, variables: Any) -> Fault | None:
        nonlocal walked
        walked += operation == "Walk"
        return Fault(status=403, headers={"Retry-After": "1800"}, body="{}") if walked > 3 else None

    hub.before_request = limit
    assert ingest(clock=clock, seconds=600, refresh=True).status == "wait"
    some = read_again(database, github)
    assert 0 < len(some) < len(prs(github))
    assert counts(database) == before
    hub.before_request = None
    clock.pass_by(1800)
    continued = ingest(clock=clock)
    assert continued.pull_requests <= len(prs(github)) - len(some)
    assert unlike(database, github) == []
    assert rows(database, _VANISHED) == []
