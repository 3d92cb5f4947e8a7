"""Incidents from GitHub's issues and from a file."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.github import GitHub
from demo.model import Repository
from demo.server import Fault, Server, serve
from dora.database import Database
from ingest.github.incidents import Issue
from ingest.run_result import RunResult
from tests.ingest.delivery_truth import incidents, landed_incidents
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import rows

Ingest = Callable[..., RunResult]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"
SHA = "0123456789abcdef0123456789abcdef01234567"


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def row_of(body: str = "", *, is_deployed: bool = True, **changes: Any) -> dict[str, Any]:
    node = {
        "id": "I_1",
        "number": 1,
        "title": "Down",
        "url": "https://github.com/acme/api/issues/1",
        "body": body,
        "state": "OPEN",
        "stateReason": None,
        "createdAt": "2026-03-02T10:00:00Z",
        "closedAt": None,
        "labels": {"totalCount": 1, "nodes": [{"name": "Incident"}]},
        "closings": {"nodes": []},
        "closedByPullRequestsReferences": {"nodes": []},
    }
    return Issue.model_validate({**node, **changes}).row("acme/api", is_deployed=is_deployed)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"pull_request": None, "caused_by_change": None, "repository": "acme/api"}),
        ("Caused by: #12", {"pull_request": "acme/api#12"}),
        ("**Caused by:** acme/web#012.", {"pull_request": "acme/web#12"}),
        ("- Caused by: https://github.com/acme/web/pull/9", {"pull_request": "acme/web#9"}),
        (f"caused by: {SHA.upper()}", {"commit_sha": SHA}),
        (f"Caused by: https://github.com/acme/api/commit/{SHA}", {"commit_sha": SHA}),
        ("Caused by: DE_kwDOabc-1", {"deployment_id": "DE_kwDOabc-1"}),
        ("Caused by: none", {"caused_by_change": False, "pull_request": None}),
        ("Caused by: we do not know yet", {"caused_by_change": None, "pull_request": None}),
        ("Service: billing", {"repository": "acme/api", "target": "billing"}),
        ("Service: acme/web", {"repository": "acme/web", "target": None}),
        ("Severity: SEV 1", {"severity": "SEV 1"}),
        (
            "Started: 2026-03-02T08:30+01:00",
            {"started_at": datetime(2026, 3, 2, 7, 30, tzinfo=UTC)},
        ),
        ("Started: 2026-03-02 08:30 UTC", {"started_at": at(-0.5)}),
        ("Started: this morning", {"started_at": at(1)}),
    ],
)
def test_lines_of_an_issue_are_read(line: str, expected: dict[str, Any]) -> None:
    row = row_of(f"We are down.\r\n\r\n{line}\r\nMore text.")
    assert {name: row[name] for name in expected} == expected


def test_an_issue_of_a_repository_for_incidents_is_about_none() -> None:
    assert row_of(is_deployed=False)["repository"] is None
    assert row_of("Service: acme/web", is_deployed=False)["repository"] == "acme/web"
    assert row_of("Service: web", is_deployed=False)["target"] == "web"


def test_what_closed_an_issue_fixed_it() -> None:
    closed = {"state": "CLOSED", "closedAt": "2026-03-02T13:00:00Z"}
    web = {"nameWithOwner": "acme/web"}
    pull_request = {"__typename": "PullRequest", "number": 7, "repository": web}
    linked = [
        {"number": 5, "mergedAt": "2026-03-02T11:00:00Z", "repository": web},
        {"number": 6, "mergedAt": None, "repository": web},
        None,
    ]

    def fixed_by(closer: Any, **more: Any) -> Any:
        changes = {"closings": {"nodes": [{"closer": closer}]}, **closed, **more}
        return row_of(**changes)["fixed_by"]

    assert fixed_by(pull_request) == "acme/web#7"
    assert fixed_by({"__typename": "Commit", "oid": SHA}) == SHA
    assert fixed_by(None) is None
    assert fixed_by(None, closedByPullRequestsReferences={"nodes": linked}) == "acme/web#5"
    assert row_of(closings={"nodes": [{"closer": pull_request}]})["fixed_by"] is None


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
    return github.create_repository("acme/shop", START)


@pytest.fixture
def once(ingest: Ingest, clock: SimulatedClock, shop: Repository, hub: Server) -> Ingest:
    def run(**changes: Any) -> RunResult:
        rules = json.dumps({"labels": ["incident"]})
        changed = {"repositories": "acme/shop", "clock": clock, "incidents": rules}
        return ingest(**{**changed, **changes})

    return run


def test_incidents_are_followed_and_a_quiet_run_asks_once_more(
    once: Ingest, database: Database, github: GitHub, shop: Repository, hub: Server
) -> None:
    fix = github.add_pull_request(shop, at(1), "ada", title="Fix")
    github.merge(fix, at(2))
    closed = github.open_issue(shop, at(0), ["incident"])
    github.close_issue(closed, at(2), closer=fix)
    for number in range(60):
        github.open_issue(shop, at(3 + number / 60), ["Incident", "other"])
    github.open_issue(shop, at(5), ["other"])
    github.close_issue(github.open_issue(shop, at(5), ["incident"]), at(6), "NOT_PLANNED")
    github.close_issue(github.open_issue(shop, at(5), ["incident"]), at(6), "DUPLICATE")
    assert once().exit_code == 0
    found = landed_incidents(database)
    assert len(found) == 61
    assert found[closed.id]["fixed_by"] == "acme/shop#1"
    hub.requests.clear()
    assert once().exit_code == 0
    assert [(each.operation, each.cost) for each in hub.requests] == [
        ("Probe", 1),
        ("IncidentProbe", 1),
    ]


def test_what_loses_its_label_is_deleted_or_discarded_is_no_incident_any_more(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    issues = [github.open_issue(shop, at(hour), ["incident"]) for hour in range(6)]
    once()
    unlabelled, deleted, discarded, reopened, _, closed = issues
    github.edit_issue(unlabelled, clock.now(), labels=[])
    github.delete_issue(deleted)
    github.close_issue(discarded, clock.now(), "NOT_PLANNED")
    github.close_issue(closed, clock.now())
    github.close_issue(reopened, clock.now())
    # A new issue replaces a removed one: the count is the same.
    github.open_issue(shop, clock.now(), ["incident"])
    once()
    assert landed_incidents(database) == incidents(github, "incident")
    github.reopen_issue(reopened, clock.now() + timedelta(hours=1))
    once()
    assert landed_incidents(database) == incidents(github, "incident")
    assert landed_incidents(database)[reopened.id]["resolved_at"] is None
    once(incidents=None)
    assert landed_incidents(database) == {}


def test_incidents_come_from_the_named_repositories_alone(
    once: Ingest, database: Database, github: GitHub, shop: Repository
) -> None:
    central = github.create_repository("acme/incidents", START)
    github.open_issue(shop, at(1), ["incident"])
    issue = github.open_issue(central, at(1), ["incident"], body="Service: acme/shop")
    rules = json.dumps({"labels": ["incident"], "repositories": ["acme/incidents"]})
    assert once(incidents=rules).exit_code == 0
    (row,) = rows(database, "select id, repository from raw.incidents")
    assert row == {"id": issue.id, "repository": "acme/shop"}
    query = "select repository_id from raw.delivery_coverage where kind = 'incidents'"
    assert rows(database, query) == [{"repository_id": central.id}]
    assert once(incidents=json.dumps({"labels": ["incident"]})).exit_code == 0
    assert rows(database, query) == [{"repository_id": shop.id}]
    assert once(incidents=None).exit_code == 0
    assert rows(database, query) == []


def test_without_the_permission_incidents_are_not_measured(
    once: Ingest, database: Database, github: GitHub, shop: Repository
) -> None:
    github.open_issue(shop, at(1), ["incident"])
    github.hidden_fields.add("Repository.issues")
    result = once()
    assert result.exit_code == 1
    assert "the incidents of acme/shop are not measured" in result.messages[0]
    assert "Issues: read" in result.messages[0]
    query = "select covered_to from raw.delivery_coverage where kind = 'incidents'"
    assert rows(database, query) == [{"covered_to": None}]


def test_a_file_replaces_what_it_held_before(
    once: Ingest, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "incidents.csv"
    rules = json.dumps({"file": str(file)})
    query = "select source, id, title from raw.incidents order by 1, 2"

    def held() -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in rows(database, query)]

    header = "source,id,title,started_at\n"
    file.write_text(header + "file,1,Down,2026-03-02\npager,2,Slow,2026-03-02\n")
    once(incidents=rules)
    assert held() == [("file", "1", "Down"), ("pager", "2", "Slow")]
    file.write_text(header + "file,1,Up,2026-03-02\nfile,3,New,2026-03-02\n")
    once(incidents=rules)
    assert held() == [("file", "1", "Up"), ("file", "3", "New")]
    once(incidents=None)
    assert held() == []


def test_a_run_that_ends_between_list_and_ids_leaves_them_to_the_next(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    hub: Server,
    clock: SimulatedClock,
) -> None:
    issues = [github.open_issue(shop, at(hour), ["incident"]) for hour in range(3)]
    once()
    github.edit_issue(issues[0], clock.now(), labels=[])
    is_away = False

    def fail(operation: str | None, _: Any) -> Fault | None:
        nonlocal is_away
        is_away = is_away or operation == "Issues"
        return Fault(status=503, body="") if is_away else None

    hub.before_request = fail
    assert once().exit_code == 69
    hub.before_request = None
    once()
    assert landed_incidents(database) == incidents(github, "incident")
