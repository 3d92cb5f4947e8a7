"""After each single fault of GitHub, everything is loaded, with a few more requests."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.github import GitHub
from demo.server import Fault, Server, serve
from dora.database import Database
from ingest.run_result import RunResult
from tests.ingest.delivering import DEPLOYMENTS, INCIDENTS, LABEL, begin
from tests.ingest.delivery_truth import commits, incidents, landed_incidents, reached
from tests.ingest.delivery_truth import unlike as unlike_deliveries
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import prs, rows, unlike

Ingest = Callable[..., RunResult]
Answer = dict[str, Any]
TOKEN = "a-token-of-the-tests"
NAMES_OF_INCIDENTS = "select id from raw.incidents"
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
# A run over one repository of seventy pull requests, two with more reviews than a page holds: the
# name, two pages, the further reviews, and the check for changes in the meantime.
WITHOUT = ["Resolve", "Walk", "Walk", "Details", "Probe"]


@pytest.fixture
def github() -> GitHub:
    github = GitHub()
    repository = github.create_repository("acme/shop", START)
    for hour in range(70):
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
    """Return these faults, one each, for the first requests of an operation."""
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
    if name == "no answer in time":
        monkeypatch.setattr("ingest.github.client.TIMEOUT", 0.3)
    hub.before_request = at_first(operation, PASSING[name])
    result = ingest(repositories="acme/shop", clock=clock)
    assert result.exit_code == 0
    assert unlike(database, github) == []
    assert sum(result.usage.errors.values()) == 1
    more = Counter(asked(hub)) - Counter(WITHOUT)
    # A retried page may be half as long, which may take one more request.
    assert more in (Counter([operation]), Counter([operation, "Walk"]), Counter([operation] * 2))


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        pytest.param("Walk", Fault(status=503, body=""), id="GitHub unavailable"),
        pytest.param("Probe", Fault(reset=True), id="connection reset"),
    ],
)
def test_what_does_not_pass_ends_the_run_and_the_next_goes_on(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, operation: str, fault: Fault
) -> None:
    is_away = False

    def fail(name: str | None, variables: Any) -> Fault | None:
        nonlocal is_away
        is_away = is_away or name == operation
        return fault if is_away else None

    hub.before_request = fail
    assert ingest(repositories="acme/shop", clock=SimulatedClock()).exit_code == 69
    # Seven attempts by each of two streams, and the checks if GitHub is available.
    assert len(hub.requests) <= 20
    hub.before_request = None
    assert ingest(repositories="acme/shop").exit_code == 0
    assert unlike(database, github) == []


def too_much_for(*unanswered: str) -> Callable[[Answer], Answer]:
    """Refuse every answer that contains more than the id of one of these pull requests."""
    limit = {"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "Too much"}]}

    def rewrite(answer: Answer) -> Answer:
        nodes = list(filter(None, answer.get("data", {}).get("nodes") or []))
        for node in list(nodes):
            nodes += (node.get("pullRequests") or {}).get("nodes") or []
        held = {node["id"] for node in filter(None, nodes) if "reviews" in node}
        return limit if held & set(unanswered) else answer

    return rewrite


@pytest.mark.parametrize("poisoned", [1, 3], ids=["one", "three in a row"])
def test_a_pull_request_that_github_cannot_answer_for_stops_nothing(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    hub: Server,
    clock: SimulatedClock,
    poisoned: int,
) -> None:
    """It fails at every page size: the others are loaded, it is recorded, no run ends early."""
    bad = [pull_request.id for pull_request in prs(github)[30 : 30 + poisoned]]
    hub.before_request = lambda name, variables: Fault(rewrite=too_much_for(*bad))
    result = ingest(repositories="acme/shop", clock=clock)
    assert (result.exit_code, result.failures) == (1, poisoned)
    assert set(unlike(database, github)) == {f"missing {key}" for key in bad}
    failed = rows(database, "select subject_id, reason from raw.ingest_failures")
    assert {row["subject_id"] for row in failed} == set(bad)
    assert all("did not answer pull_requests" in row["reason"] for row in failed)
    assert len(hub.requests) <= 30 + 30 * poisoned
    clock.pass_by(3600)
    again = ingest(repositories="acme/shop", clock=clock)
    assert (again.exit_code, again.pull_requests_failed) == (1, poisoned)
    clock.pass_by(86400)
    assert ingest(repositories="acme/shop", clock=clock).exit_code == 0
    hub.requests.clear()
    assert ingest(repositories="acme/shop", clock=clock).failures == 0
    assert asked(hub) == ["Probe"]


def test_the_only_pull_request_of_a_repository_may_be_one_that_github_cannot_answer_for(
    ingest: Ingest, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    """All its pull requests are newer than the watermark, so the length of the list is checked."""
    alone = github.create_repository("acme/alone", START)
    pull_request = github.add_pull_request(alone, START, "ada", title="Work")
    assert ingest(repositories="acme/alone", clock=clock).exit_code == 0
    clock.pass_by(3600)
    github.edit(pull_request, clock.now(), title="More work")
    clock.pass_by(3600)
    hub.before_request = lambda name, variables: Fault(rewrite=too_much_for(pull_request.id))
    result = ingest(repositories="acme/alone", clock=clock)
    assert (result.exit_code, result.failures) == (1, 1)


def test_what_github_could_not_answer_for_is_asked_again_after_a_week(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    bad = prs(github)[30].id
    hub.before_request = lambda name, variables: Fault(rewrite=too_much_for(bad))
    ingest(repositories="acme/shop", clock=clock)
    hub.before_request = None
    clock.pass_by(8 * 86400)
    ingest(repositories="acme/shop", clock=clock)
    assert unlike(database, github) == []
    assert rows(database, "select 1 from raw.ingest_failures where resolved_at is null") == []


def test_more_unanswered_than_that_is_an_outage_and_each_run_gets_further(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    bad = [pull_request.id for pull_request in prs(github)[20:40]]
    hub.before_request = lambda name, variables: Fault(rewrite=too_much_for(*bad))
    codes = [ingest(repositories="acme/shop", clock=clock).exit_code for _ in range(3)]
    # Eight, eight and four.
    assert codes == [69, 69, 1]
    assert set(unlike(database, github)) == {f"missing {key}" for key in bad}


def limit_ids(most: int) -> Callable[[str | None, Any], Fault | None]:
    """Refuse requests with more than `most` ids."""
    refused = Fault(status=502, body="<html>")
    return lambda name, variables: refused if len(variables.get("ids", ())) > most else None


def test_lists_of_ids_are_asked_for_in_parts_that_github_can_answer(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    for number in range(30):
        repository = github.create_repository(f"acme/tool-{number}", START)
        for minute in range(3):
            at = START + timedelta(minutes=minute)
            pull_request = github.add_pull_request(repository, at, "ada", title="Work")
            for second in range(60):
                github.add_review(pull_request, at + timedelta(seconds=second), None, "COMMENTED")
    hub.before_request = limit_ids(3)
    names = ",".join(repository.name_with_owner for repository in github.repositories())
    first = ingest(repositories=names, clock=clock)
    assert first.exit_code == 0
    assert unlike(database, github) == []
    clock.pass_by(8 * 86400)
    hub.requests.clear()
    github.edit(prs(github)[-1], None, additions=4711)
    assert ingest(repositories=names, clock=clock).exit_code == 0
    assert unlike(database, github) == []
    answered = [each for each in hub.requests if each.status == 200]
    assert max(len(each.variables.get("ids", ())) for each in answered) == 3


def test_reviews_that_are_not_as_many_as_github_counts_are_read_anew(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    def lose_one(answer: Answer) -> Answer:
        answer["data"]["nodes"][0]["pullRequests"]["nodes"][7]["reviews"]["nodes"].pop()
        return answer

    hub.before_request = at_first("Walk", Fault(rewrite=lose_one))
    ingest(repositories="acme/shop", clock=clock)
    assert unlike(database, github) == []
    # They share a request with the further reviews of the two others.
    assert Counter(asked(hub)) == Counter(WITHOUT)


def test_reviews_that_github_counts_and_does_not_give_cost_one_look(
    ingest: Ingest, database: Database, hub: Server, clock: SimulatedClock
) -> None:
    def count_one_more(answer: Answer) -> Answer:
        data = answer["data"]
        for node in [*data.get("nodes", ()), *data.values()]:
            inner = node.get("pullRequests") or {} if isinstance(node, dict) else {}
            for found in [node, *inner.get("nodes", ())]:
                if isinstance(found, dict) and "reviews" in found:
                    found["reviews"]["totalCount"] += 1
        return answer

    hub.before_request = lambda name, variables: Fault(rewrite=count_one_more)
    result = ingest(repositories="acme/shop", clock=clock)
    assert (result.exit_code, result.failures, result.pull_requests) == (0, 0, 70)
    looks = Counter(asked(hub)) - Counter(WITHOUT)
    assert looks == Counter({"Details": 1})


def few_items(github: GitHub, hub: Server) -> None:
    """Add a repository of 331 pull requests; GitHub answers no page of more than 25."""
    repository = github.create_repository("acme/monolith", START)
    for minute in range(331):
        at = START + timedelta(minutes=minute)
        github.add_pull_request(repository, at, "ada", title="Work", labels=["bug", f"l{minute}"])
    busy = list(repository.by_number.values())[7]
    github.edit(busy, None, labels=[f"area/{number:03d}" for number in range(60)])
    for second in range(120):
        at = START + timedelta(days=1, seconds=second)
        github.add_review(busy, at, "bob", "COMMENTED")
        github.convert_to_draft(busy, at)
    hub.longest_page = 25


def test_github_that_answers_no_page_above_25_items_is_read_completely_without_waits(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    few_items(github, hub)
    result = ingest(repositories="acme/shop,acme/monolith", clock=clock)
    assert result.exit_code == 0
    assert unlike(database, github) == []
    assert clock.waits == []
    # 14 and 3 pages, 5 rounds for the busiest pull request; the others are refused sizes.
    assert len(hub.requests) <= 40
    assert result.usage.errors["too_big"] <= 6


@pytest.mark.parametrize("longest", [25, 2], ids=str)
def test_every_kind_of_request_gets_smaller(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    hub: Server,
    clock: SimulatedClock,
    longest: int,
) -> None:
    """Names, owners, probes, pages, lists of ids, details: each starts with the largest size."""
    for number in range(30):
        repository = github.create_repository(f"acme/tool-{number}", START)
        github.add_pull_request(repository, START, "ada", title="Work")
    hub.longest_page = longest
    names = ",".join(repository.name_with_owner for repository in github.repositories())
    for repositories in (names, "acme/*"):
        clock.pass_by(8 * 86400)
        assert ingest(repositories=repositories, clock=clock).exit_code == 0
        for pull_request in prs(github)[-20:]:
            github.edit(pull_request, clock.now(), title="Changed")
    assert ingest(repositories="acme/*", clock=clock).exit_code == 0
    assert unlike(database, github) == []
    assert clock.waits == []
    operations = {request.operation for request in hub.requests}
    assert operations >= {"Resolve", "Owned", "Probe", "Walk", "PullRequests", "Details"}


@pytest.mark.parametrize("longest", [25, 2], ids=str)
def test_deliveries_are_read_completely_from_a_github_that_answers_few_items(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    hub: Server,
    clock: SimulatedClock,
    longest: int,
) -> None:
    """Commits with their parents, deployments, statuses, releases, tags, issues with labels."""
    repository = github.create_repository("acme/busy", START)
    begin(github, START)
    for number in range(60):
        at = START + timedelta(hours=number)
        tip = repository.branches["main"]
        branch = github.add_commit(repository, at, tip)
        merge = github.add_commit(repository, at, tip, branch.oid, branch="main")
        deployment = github.deploy(repository, at, merge.oid, "production")
        for second in range(30):
            github.add_status(deployment, at + timedelta(seconds=second), "SUCCESS")
        github.tag(repository, f"v{number}", merge.oid, at)
        github.publish(github.draft_release(repository, at, f"v{number}"), at)
        github.open_issue(repository, at, [LABEL], title="Down")
    hub.longest_page = longest
    result = ingest(
        repositories="acme/busy", deployments=DEPLOYMENTS, incidents=INCIDENTS, clock=clock
    )
    assert result.exit_code == 0
    assert clock.waits == []
    assert unlike_deliveries(database, github) == []
    assert commits(database, repository) == reached(repository, repository.branches["main"])
    assert landed_incidents(database) == incidents(github, LABEL)


def test_an_issue_whose_labels_cannot_all_be_read_is_told(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    repository = github.create_repository("acme/busy", START)
    issue = github.open_issue(repository, START, [LABEL], title="Down")
    settings = {"repositories": "acme/busy", "incidents": INCIDENTS, "clock": clock}
    assert ingest(**settings).exit_code == 0
    github.edit_issue(issue, clock.now(), labels=[f"area/{number:02d}" for number in range(40)])
    hub.longest_page = 25
    clock.pass_by(2 * 86400)
    assert ingest(**settings).exit_code == 1
    assert rows(database, NAMES_OF_INCIDENTS) == [{"id": issue.id}]
    hub.longest_page = None
    clock.pass_by(2 * 86400)
    assert ingest(**settings).exit_code == 0
    assert rows(database, NAMES_OF_INCIDENTS) == []


def test_a_commit_whose_parents_cannot_all_be_read_is_reported_and_read_later(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock
) -> None:
    repository = github.create_repository("acme/busy", START)
    begin(github, START)
    tip = repository.branches["main"]
    branches = [github.add_commit(repository, START, tip).oid for _ in range(2)]
    octopus = github.add_commit(repository, START, tip, *branches, branch="main")
    github.add_status(github.deploy(repository, START, octopus.oid, "production"), START, "SUCCESS")
    settings = {"repositories": "acme/busy", "deployments": DEPLOYMENTS, "clock": clock}
    hub.longest_page = 2
    result = ingest(**settings)
    assert result.exit_code == 1
    assert any("does not show all parents" in message for message in result.messages)
    hub.longest_page = None
    clock.pass_by(86400)
    assert ingest(**settings).exit_code == 0
    assert commits(database, repository) == reached(repository, repository.branches["main"])
