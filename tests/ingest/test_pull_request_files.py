"""Loading the files of merged pull requests, for rules with `paths`."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.github import GitHub
from demo.model import PullRequest, Repository
from demo.server import Fault, Server, serve
from dora.database import Database
from ingest.run_result import RunResult
from tests.ingest.delivery_truth import files, landed_files
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import rows

Ingest = Callable[..., RunResult]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"
PATHS = json.dumps(
    [
        {"repositories": ["acme/mono"], "target": "api", "paths": ["services/api/**"]},
        {"repositories": ["acme/mono"], "target": "web", "labels": ["svc:web"]},
    ]
)
COVERED = "select covered_to from raw.delivery_coverage where kind = 'pull_request_files'"
OPEN = "select subject_id, kind from raw.ingest_failures where resolved_at is null"


@pytest.fixture
def github() -> GitHub:
    return GitHub()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START + timedelta(days=30))


@pytest.fixture
def hub(github: GitHub, clock: SimulatedClock) -> Iterator[Server]:
    now = lambda: clock.now().timestamp()  # noqa: E731
    with serve(github, token=TOKEN, clock=now, budget=100_000) as hub:
        yield hub


@pytest.fixture
def mono(github: GitHub) -> Repository:
    """A monorepo with 30 merged pull requests of 1 to 30 files, and an open one."""
    repository = github.create_repository("acme/mono", START)
    for number in range(1, 31):
        merge(github, repository, START + timedelta(hours=number), number)
    github.add_pull_request(repository, START, "ada", folder="services/api", changed_files=3)
    return repository


@pytest.fixture
def once(ingest: Ingest, clock: SimulatedClock, mono: Repository) -> Ingest:
    """Run an ingest of `acme/mono` with a rule that has paths."""

    def run(**changes: Any) -> RunResult:
        given = {"repositories": "acme/mono", "deployments": PATHS, "clock": clock}
        return ingest(**{**given, **changes})

    return run


def merge(
    github: GitHub, repository: Repository, at: datetime, changed_files: int = 1
) -> PullRequest:
    pull_request = github.add_pull_request(
        repository, at, "ada", folder="services/api", changed_files=changed_files
    )
    return github.merge(pull_request, at + timedelta(minutes=30))


def requests(hub: Server) -> list[str | None]:
    """Return the operations since the last call."""
    operations = [request.operation for request in hub.requests]
    hub.requests.clear()
    return operations


def test_files_of_merged_pull_requests_are_loaded_once(
    once: Ingest, database: Database, github: GitHub, mono: Repository, hub: Server
) -> None:
    result = once()
    assert (result.exit_code, result.messages) == (0, [])
    assert len(files(github)) == 30
    assert landed_files(database) == files(github)
    assert rows(database, COVERED)[0]["covered_to"] is not None
    assert requests(hub).count("Details") == 1
    assert once().exit_code == 0
    assert requests(hub) == ["Probe"]


def test_pull_request_merged_later_takes_one_request_more(
    once: Ingest,
    database: Database,
    github: GitHub,
    mono: Repository,
    hub: Server,
    clock: SimulatedClock,
) -> None:
    once()
    requests(hub)
    (covered,) = rows(database, COVERED)
    clock.pass_by(3600)
    merge(github, mono, clock.now() - timedelta(minutes=40))
    assert once().exit_code == 0
    assert landed_files(database) == files(github)
    assert requests(hub).count("Details") == 1
    assert rows(database, COVERED)[0]["covered_to"] > covered["covered_to"]


def test_new_rule_fills_in_the_pull_requests_that_are_loaded_already(
    once: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    once(deployments=None)
    assert rows(database, "select * from raw.pull_request_files") == []
    assert rows(database, COVERED) == []
    requests(hub)
    assert once().exit_code == 0
    assert landed_files(database) == files(github)
    assert requests(hub) == ["Probe", "Details"]


def test_rules_without_paths_and_other_repositories_cost_nothing(
    ingest: Ingest, database: Database, github: GitHub, mono: Repository, hub: Server
) -> None:
    """With a rule for acme/mono, the run over acme/shop is the same as without one."""
    shop = github.create_repository("acme/shop", START)
    for hour in range(5):
        merge(github, shop, START + timedelta(hours=hour), 50)
    labels = '[{"repositories": ["*"], "target": "web", "labels": ["svc:web"]}]'
    costs = []
    for rules in (labels, PATHS):
        ingest(repositories="acme/shop", deployments=rules, refresh=True)
        costs.append([(request.operation, request.cost) for request in hub.requests])
        hub.requests.clear()
    assert "Details" not in {operation for operation, _ in costs[0] + costs[1]}
    assert rows(database, "select * from raw.pull_request_files") == []


def test_more_files_than_a_page_holds_are_read_to_the_end(
    once: Ingest, database: Database, github: GitHub, mono: Repository, hub: Server
) -> None:
    for number, count in enumerate((100, 101, 250, 3000)):
        merge(github, mono, START + timedelta(days=3, hours=number), count)
    assert once().exit_code == 0
    assert landed_files(database) == files(github)
    assert requests(hub).count("Details") <= 32


def test_more_files_than_github_lists_are_reported_and_not_asked_for(
    once: Ingest, database: Database, github: GitHub, mono: Repository, hub: Server
) -> None:
    huge = merge(github, mono, START + timedelta(days=3), 3001)
    result = once()
    assert result.exit_code == 0
    assert result.messages == [
        "GitHub does not list all files of 1 pull request of acme/mono (it lists at most 3,000): "
        "they belong to every target of the repository"
    ]
    assert requests(hub).count("Details") == 1
    query = "select pull_request_id, paths from raw.pull_request_files where not is_complete"
    assert rows(database, query) == [{"pull_request_id": huge.id, "paths": []}]
    assert once().messages == []


def test_run_that_ends_anywhere_leaves_the_rest_to_the_next(
    once: Ingest, database: Database, github: GitHub, mono: Repository, hub: Server
) -> None:
    for hour in range(250):
        merge(github, mono, START + timedelta(days=3, hours=hour), 10)
    loaded = []
    for allowed in range(2):
        seen = 0

        def fail(name: str | None, _: Any, allowed: int = allowed) -> Fault | None:
            nonlocal seen
            seen += name == "Details"
            return Fault(status=503, body="") if seen > allowed else None

        hub.before_request = fail
        assert once().exit_code != 0
        assert rows(database, COVERED) == []
        loaded.append(len(landed_files(database)))
    assert loaded[0] == 0
    assert 0 < loaded[1] < 280
    hub.before_request = None
    assert once().exit_code == 0
    assert landed_files(database) == files(github)
    assert len(rows(database, COVERED)) == 1


def test_files_that_github_does_not_return_are_a_dead_letter_until_it_does(
    once: Ingest,
    database: Database,
    github: GitHub,
    mono: Repository,
    hub: Server,
    clock: SimulatedClock,
) -> None:
    bad = mono.by_number[7].id

    def lose(answer: dict[str, Any]) -> dict[str, Any]:
        for node in answer["data"].values() if bad in lost else ():
            if isinstance(node, dict) and len(node.get("files", {}).get("nodes", ())) == 7:
                node["files"] = None
        return answer

    lost = {bad}
    hub.before_request = lambda operation, variables: Fault(rewrite=lose)
    result = once()
    assert result.exit_code == 1
    assert rows(database, OPEN) == [{"subject_id": bad, "kind": "pull_request_files"}]
    assert landed_files(database).keys() == files(github).keys() - {bad}
    assert len(rows(database, COVERED)) == 1
    for days, is_asked in ((1, True), (5, False), (3, True)):
        clock.pass_by(timedelta(days=days).total_seconds())
        requests(hub)
        once()
        assert ("Details" in requests(hub)) is is_asked, days
    lost.clear()
    clock.pass_by(timedelta(days=8).total_seconds())
    assert once().exit_code == 0
    assert rows(database, OPEN) == []
    assert landed_files(database) == files(github)


def test_missing_permission_is_reported_once_for_all_pull_requests(
    once: Ingest, database: Database, github: GitHub, mono: Repository, hub: Server
) -> None:
    for hour in range(250):
        merge(github, mono, START + timedelta(days=3, hours=hour))
    github.hidden_fields.add("PullRequest.files")
    result = once()
    assert result.exit_code == 1
    (message,) = result.messages
    assert message.startswith("the pull request files of acme/mono are not measured: ")
    assert message.endswith("it needs the repository permission Pull requests: read")
    assert requests(hub).count("Details") == 1
    assert rows(database, OPEN) == []
    query = "select unreadable_reason from raw.delivery_coverage where kind = 'pull_request_files'"
    assert rows(database, query)[0]["unreadable_reason"] is not None
    github.hidden_fields.clear()
    assert once().exit_code == 0
    assert landed_files(database) == files(github)
    assert rows(database, query) == [{"unreadable_reason": None}]


def test_pull_request_deleted_before_its_files_are_read_vanishes(
    once: Ingest, database: Database, github: GitHub, mono: Repository, hub: Server
) -> None:
    """It is deleted during the run, after the comparison with GitHub's count."""
    once(deployments=None)
    gone = mono.by_number[20]

    def delete(operation: str | None, _: Any) -> None:
        if operation == "Details" and 20 in mono.by_number:
            github.delete_pull_request(gone)

    hub.before_request = delete
    assert once().exit_code == 0
    query = "select id from raw.pull_requests where vanished_at is not null"
    assert rows(database, query) == [{"id": gone.id}]
    assert landed_files(database) == files(github)


def test_refresh_reads_the_files_again(
    once: Ingest, database: Database, github: GitHub, mono: Repository
) -> None:
    once()
    with database.connect() as connection:
        connection.execute("update raw.pull_request_files set paths = '[]'")
    assert once(refresh=True).exit_code == 0
    assert landed_files(database) == files(github)
