"""The cost of runs in requests and points."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from demo.github import GitHub
from demo.server import Server, serve
from ingest.run_result import RunResult

Ingest = Callable[..., RunResult]
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"


@pytest.fixture
def github() -> GitHub:
    """An owner of a hundred repositories with six pull requests each."""
    github = GitHub()
    for number in range(100):
        repository = github.create_repository(f"acme/service-{number}", START)
        for hour in range(6):
            at = START + timedelta(hours=hour)
            github.add_pull_request(repository, at, f"dev-{number}", title="Work")
    return github


@pytest.fixture
def hub(github: GitHub) -> Iterator[Server]:
    clock = (START + timedelta(days=2)).timestamp
    with serve(github, token=TOKEN, clock=clock, budget=100_000) as hub:
        yield hub


def test_a_quiet_run_over_a_thousand_repositories_is_ten_requests(
    ingest: Ingest, github: GitHub, hub: Server
) -> None:
    for number in range(900):
        github.create_repository(f"acme/empty-{number}", START)
    assert ingest(repositories="acme/*").repositories == 1000
    hub.requests.clear()
    result = ingest(repositories="acme/*")
    assert result.exit_code == 0
    assert len(hub.requests) == 10
    # One point for each of two lists: pull requests and deployments.
    assert sum(request.cost for request in hub.requests) <= 22


def test_twenty_active_repositories_of_a_hundred_take_six_requests(
    ingest: Ingest, github: GitHub, hub: Server
) -> None:
    ingest(repositories="acme/*")
    for repository in github.repositories()[:20]:
        for minute, pull_request in enumerate(list(repository.by_number.values())[:5]):
            at = START + timedelta(days=1, minutes=minute)
            github.edit(pull_request, at, title="Changed")
    hub.requests.clear()
    result = ingest(repositories="acme/*")
    assert result.pull_requests >= 100
    operations = [request.operation for request in hub.requests]
    assert operations == ["Owned", *["Walk"] * 4, "Probe"]


def test_what_hangs_on_a_pull_request_comes_a_hundred_at_a_time(
    ingest: Ingest, github: GitHub, hub: Server
) -> None:
    repository = github.create_repository("acme/drafts", START)
    pull_request = github.add_pull_request(repository, START, "dev", title="Work", is_draft=True)
    for minute in range(50):
        at = START + timedelta(minutes=minute)
        github.ready_for_review(pull_request, at)
        github.convert_to_draft(pull_request, at)
        github.add_review(pull_request, at, "dev-2", "COMMENTED")
    assert ingest(repositories="acme/drafts").exit_code == 0
    assert [request.operation for request in hub.requests] == [
        "Resolve",
        "Walk",
        "Details",
        "Probe",
    ]


def test_five_thousand_much_reviewed_pull_requests_take_at_most_a_hundred_requests(
    ingest: Ingest, github: GitHub, hub: Server
) -> None:
    """Some have more reviews than a page holds; the further pages share requests."""
    repositories = [github.create_repository(f"acme/app-{name}", START) for name in "ab"]
    reviews = 0
    for number in range(5000):
        at = START + timedelta(seconds=30 * number)
        pull_request = github.add_pull_request(repositories[number % 2], at, "ada", title="Work")
        count = 45 if number % 100 == 7 else 150 if number % 250 == 9 else number % 2
        for _ in range(count):
            github.add_review(pull_request, at, "bob", "COMMENTED")
        reviews += count
    assert reviews < 2 * 5000
    result = ingest(repositories="acme/app-a,acme/app-b")
    assert (result.exit_code, result.pull_requests, result.reviews) == (0, 5000, reviews)
    assert len(hub.requests) <= 100
    assert sum(request.cost for request in hub.requests) <= 200
    hub.requests.clear()
    assert ingest(repositories="acme/app-a,acme/app-b").exit_code == 0
    assert [request.cost for request in hub.requests] == [1]


def test_a_thousand_deployments_over_five_thousand_commits_take_70_requests_and_90_points(
    ingest: Ingest, github: GitHub, hub: Server
) -> None:
    """Every tenth deployment is of a commit on a release branch, not on main."""
    repository = github.create_repository("acme/deployed", START)
    for number in range(5000):
        at = START + timedelta(seconds=number)
        commit = github.add_commit(repository, at, branch="main")
        if number % 5 == 0:
            oid = commit.oid
            if number % 50 == 0:
                oid = github.add_commit(repository, at, commit.oid).oid
            deployment = github.deploy(repository, at, oid)
            for minute, state in enumerate(("QUEUED", "IN_PROGRESS", "FAILURE")):
                github.add_status(deployment, at + timedelta(minutes=minute), state)
    result = ingest(repositories="acme/deployed")
    assert result.exit_code == 0
    assert len(hub.requests) <= 70
    assert sum(request.cost for request in hub.requests) <= 90
    hub.requests.clear()
    assert ingest(repositories="acme/deployed").exit_code == 0
    assert [request.cost for request in hub.requests] == [1]


def test_many_deployed_commits_on_a_line_beside_main_take_25_requests(
    ingest: Ingest, github: GitHub, hub: Server
) -> None:
    """A release branch of 1,500 commits, deployed three hundred times, five commits apart."""
    repository = github.create_repository("acme/deployed", START)
    github.add_commit(repository, START, branch="main")
    oid = repository.branches["main"]
    for number in range(1500):
        at = START + timedelta(seconds=number)
        oid = github.add_commit(repository, at, oid).oid
        if number % 5 == 0:
            github.add_status(github.deploy(repository, at, oid), at, "SUCCESS")
    hub.requests.clear()
    assert ingest(repositories="acme/deployed").exit_code == 0
    assert [request.operation for request in hub.requests].count("Commits") in range(15, 26)


def test_files_of_a_thousand_merged_pull_requests_take_twenty_requests_of_a_point(
    ingest: Ingest, github: GitHub, hub: Server
) -> None:
    """Up to 19 files each, and one pull request with a thousand; each list is read once."""
    repository = github.create_repository("acme/mono", START)
    for number in range(1000):
        at = START + timedelta(minutes=number)
        count = 1000 if number == 500 else number % 20
        pull_request = github.add_pull_request(repository, at, "ada", changed_files=count)
        github.merge(pull_request, at)
    rules = '[{"repositories": ["acme/mono"], "target": "api", "paths": ["services/api/**"]}]'
    ingest(repositories="acme/mono")
    hub.requests.clear()
    assert ingest(repositories="acme/mono", deployments=rules).exit_code == 0
    read = [request.cost for request in hub.requests if request.operation == "Details"]
    assert len(read) in range(10, 21)
    assert sum(read) <= 20
    assert len(hub.requests) == len(read) + 1
    hub.requests.clear()
    assert ingest(repositories="acme/mono", deployments=rules).exit_code == 0
    assert [request.cost for request in hub.requests] == [1]
