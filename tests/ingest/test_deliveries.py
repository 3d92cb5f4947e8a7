"""Loading deployments, releases, tags and commits, also changes that no list shows."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.delivery_model import Deployment
from demo.github import GitHub
from demo.model import Repository
from demo.server import Fault, Server, serve
from dora.database import Database
from ingest.run_result import RunResult
from tests.ingest.delivery_truth import commits, reached, unlike
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import rows

Ingest = Callable[..., RunResult]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"
RELEASES = json.dumps([{"repositories": ["*"], "source": "releases"}])
TAGS = json.dumps([{"repositories": ["*"], "source": "tags"}])


@pytest.fixture
def github() -> GitHub:
    return GitHub()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START + timedelta(days=2))


@pytest.fixture
def hub(github: GitHub, clock: SimulatedClock) -> Iterator[Server]:
    now = lambda: clock.now().timestamp()  # noqa: E731
    with serve(github, token=TOKEN, clock=now, budget=100_000) as hub:
        yield hub


@pytest.fixture
def shop(github: GitHub) -> Repository:
    """Ten commits on main, each deployed an hour after the one before it."""
    repository = github.create_repository("acme/shop", START)
    for hour in range(10):
        at = START + timedelta(hours=hour)
        commit = github.add_commit(repository, at, branch="main")
        deploy(github, repository, at, commit.oid)
    return repository


@pytest.fixture
def once(ingest: Ingest, clock: SimulatedClock, shop: Repository) -> Ingest:
    """Run an ingest of `acme/shop`."""

    def run(**changes: Any) -> RunResult:
        return ingest(**{"repositories": "acme/shop", "clock": clock, **changes})

    return run


def deploy(github: GitHub, repository: Repository, at: datetime, oid: str) -> Deployment:
    deployment = github.deploy(repository, at, oid)
    github.add_status(deployment, at + timedelta(minutes=1), "IN_PROGRESS")
    github.add_status(deployment, at + timedelta(minutes=5), "SUCCESS", url="https://shop.test")
    return deployment


def test_deployments_land_with_statuses_and_the_commits_that_they_need(
    once: Ingest, database: Database, github: GitHub, shop: Repository
) -> None:
    result = once()
    assert (result.exit_code, result.messages) == (0, [])
    assert unlike(database, github, "deployments", "deployment_statuses") == []
    assert commits(database, shop) == reached(shop, shop.branches["main"])
    coverage = rows(database, "select kind, covered_to from raw.delivery_coverage order by kind")
    assert [row["kind"] for row in coverage] == ["commits", "deployments"]
    assert all(row["covered_to"] for row in coverage)


def test_a_quiet_run_asks_once(once: Ingest, hub: Server) -> None:
    once()
    hub.requests.clear()
    assert once().exit_code == 0
    assert [(each.operation, each.cost) for each in hub.requests] == [("Probe", 1)]


def test_new_deployments_take_two_requests(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    hub: Server,
    clock: SimulatedClock,
) -> None:
    once()
    commit = github.add_commit(shop, clock.now(), branch="main")
    deploy(github, shop, clock.now(), commit.oid)
    hub.requests.clear()
    assert once().exit_code == 0
    assert unlike(database, github, "deployments") == []
    assert commits(database, shop) == reached(shop, commit.oid)
    assert [each.operation for each in hub.requests] == ["Probe", "Deployments", "Commits"]


def test_a_success_that_comes_late_is_found(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    """An approval takes 30 days."""
    waiting = github.deploy(shop, clock.now(), shop.branches["main"], "prod-eu")
    github.add_status(waiting, clock.now(), "WAITING")
    once()
    clock.pass_by(timedelta(days=30).total_seconds())
    github.add_status(waiting, clock.now(), "SUCCESS")
    once()
    assert unlike(database, github, "deployments", "deployment_statuses") == []


def test_statuses_of_one_second_keep_the_order_in_which_they_were_given(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    quick = github.deploy(shop, clock.now(), shop.branches["main"])
    for state in ("QUEUED", "IN_PROGRESS", "SUCCESS"):
        github.add_status(quick, clock.now(), state)
    once()
    assert unlike(database, github, "deployments", "deployment_statuses") == []


def test_unsettled_deployment_older_than_35_days_is_read_weekly(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    waiting = github.deploy(shop, clock.now(), shop.branches["main"], "prod-eu")
    once()
    clock.pass_by(timedelta(days=60).total_seconds())
    once()
    github.add_status(waiting, clock.now(), "SUCCESS")
    clock.pass_by(timedelta(days=6).total_seconds())
    once()
    assert unlike(database, github, "deployments") != []
    clock.pass_by(timedelta(days=1).total_seconds())
    once()
    assert unlike(database, github, "deployments", "deployment_statuses") == []


def test_what_turned_inactive_or_failed_after_its_success_is_read_daily(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    once()
    newest = list(shop.deployments.values())[-1]
    github.add_status(newest, clock.now(), "FAILURE")
    once()
    assert unlike(database, github, "deployment_statuses") != []
    clock.pass_by(timedelta(days=1).total_seconds())
    once()
    assert unlike(database, github, "deployments", "deployment_statuses") == []


def test_deployments_that_were_deleted_in_bulk_are_marked_and_kept(
    once: Ingest, database: Database, github: GitHub, shop: Repository
) -> None:
    once()
    gone = [each.id for each in list(shop.deployments.values())[2:7]]
    for key in gone:
        github.delete_deployment(shop.deployments[key])
    assert once().exit_code == 0
    query = "select id from raw.deployments where vanished_at is not null"
    assert {row["id"] for row in rows(database, query)} == set(gone)
    assert unlike(database, github, "deployments", "deployment_statuses") == []
    assert len(rows(database, "select 1 from raw.deployments")) == 10


def test_statuses_that_do_not_fit_a_page_are_read_to_the_end(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    busy = github.deploy(shop, clock.now(), shop.branches["main"])
    for minute in range(150):
        github.add_status(busy, clock.now() + timedelta(minutes=minute), "IN_PROGRESS")
    once()
    assert unlike(database, github, "deployment_statuses") == []


def test_a_draft_that_is_published_late_is_found_below_the_newest_release(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    for shows_drafts in (False, True):
        github.shows_drafts = shows_drafts
        draft = github.draft_release(shop, clock.now(), f"v1-{shows_drafts}")
        for number in range(5):
            clock.pass_by(60)
            tag = f"v2-{shows_drafts}-{number}"
            github.tag(shop, tag, shop.branches["main"])
            github.publish(github.draft_release(shop, clock.now(), tag), clock.now())
        once(deployments=RELEASES)
        github.tag(shop, draft.tag_name, shop.branches["main"])
        github.publish(draft, clock.now())
        once(deployments=RELEASES)
        assert unlike(database, github, "releases") == []


def test_a_moved_tag_changes_its_release_within_a_day(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    first, *_, last = shop.commits
    github.tag(shop, "v1", first)
    github.publish(github.draft_release(shop, clock.now(), "v1"), clock.now())
    once(deployments=RELEASES)
    github.tag(shop, "v1", last)
    clock.pass_by(timedelta(days=1).total_seconds())
    once(deployments=RELEASES)
    assert unlike(database, github, "releases") == []


def test_tag_of_an_old_commit_in_place_of_a_deleted_one_is_found(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    oids = list(shop.commits)
    deleted = github.tag(shop, "v1", oids[2])
    github.tag(shop, "v2", oids[4], clock.now())
    once(deployments=TAGS)
    # Neither the count nor the top of the list changes.
    github.delete_tag(deleted)
    github.tag(shop, "v0", oids[0])
    for _ in range(2):
        clock.pass_by(timedelta(days=8).total_seconds())
        once(deployments=TAGS)
    assert unlike(database, github, "tags") == []


def test_tags_of_both_kinds_move_come_back_and_vanish(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    oids = list(shop.commits)
    light = github.tag(shop, "v1", oids[2])
    github.tag(shop, "v2", oids[4], clock.now())
    once(deployments=TAGS)
    assert unlike(database, github, "tags") == []
    # The tag of an old commit is not at the top of the list; the count stays the same.
    github.delete_tag(light)
    github.tag(shop, "v0", oids[0])
    github.tag(shop, "v2", oids[5])
    for _ in range(2):
        once(deployments=TAGS)
        clock.pass_by(timedelta(days=7).total_seconds())
    once(deployments=TAGS)
    assert unlike(database, github, "tags") == []
    github.tag(shop, "v1", oids[3])
    once(deployments=TAGS)
    assert unlike(database, github, "tags") == []


@pytest.mark.parametrize(
    ("hidden", "kind", "permission", "rules"),
    [
        ("Repository.deployments", "deployments", "Deployments: read", None),
        ("Deployment.statuses", "deployments", "Deployments: read", None),
        ("Repository.releases", "releases", "Contents: read", RELEASES),
        ("Repository.refs", "tags", "Contents: read", TAGS),
    ],
)
def test_missing_permission_is_reported_instead_of_an_empty_list(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    hidden: str,
    kind: str,
    permission: str,
    rules: str | None,
) -> None:
    github.add_pull_request(shop, START, "ada", title="Work")
    github.tag(shop, "v1", shop.branches["main"])
    github.publish(github.draft_release(shop, START, "v1"), START)
    github.hidden_fields.add(hidden)
    for _ in range(2):
        result = once(deployments=rules)
        assert result.exit_code == 1
        (message,) = result.messages
        assert f"the {kind} of acme/shop are not measured" in message
        assert permission in message
    assert len(rows(database, "select 1 from raw.pull_requests")) == 1
    query = f"select covered_to, unreadable_since from raw.delivery_coverage where kind = '{kind}'"
    (row,) = rows(database, query)
    assert row["covered_to"] is None
    assert row["unreadable_since"] is not None
    github.hidden_fields.clear()
    assert once(deployments=rules).exit_code == 0
    assert unlike(database, github, kind) == []
    assert rows(database, query)[0]["unreadable_since"] is None


def test_since_never_limits_the_commit_graph(
    once: Ingest, database: Database, github: GitHub, shop: Repository
) -> None:
    since = START + timedelta(hours=7)
    once(since=since)
    found = rows(database, "select created_at from raw.deployments order by 1")
    assert len(found) == 10
    assert commits(database, shop) == reached(shop, shop.branches["main"])


def test_what_only_a_rule_for_others_needs_is_not_asked_for(
    once: Ingest, database: Database, hub: Server
) -> None:
    rules = json.dumps([{"repositories": ["other/*"], "source": "deployments"}])
    once(deployments=rules)
    assert {each.operation for each in hub.requests} == {"Resolve"}
    assert rows(database, "select 1 from raw.commits") == []


def test_other_rules_load_what_they_need(
    once: Ingest, database: Database, github: GitHub, shop: Repository
) -> None:
    side = github.add_commit(shop, START, list(shop.commits)[4])
    github.deploy(shop, START, side.oid, "staging")
    once()
    assert side.oid not in commits(database, shop)
    rules = json.dumps([{"repositories": ["*"], "environment": "^staging$"}])
    once(deployments=rules)
    assert side.oid in commits(database, shop)


def test_merges_need_the_graph_alone(
    once: Ingest, database: Database, shop: Repository, hub: Server
) -> None:
    once(deployments=json.dumps([{"repositories": ["*"], "source": "merges"}]))
    assert commits(database, shop) == reached(shop, shop.branches["main"])
    assert [each.operation for each in hub.requests] == ["Resolve", "Commits"]


def test_a_branch_that_is_renamed_or_rewritten_leaves_the_graph_whole(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    once()
    github.rename_default_branch(shop, "trunk")
    once()
    github.rewrite_default_branch(shop, clock.now(), 6)
    once()
    found = commits(database, shop)
    assert found == reached(shop, *shop.commits)
    assert shop.branches["trunk"] in found


def test_commits_of_forks_are_asked_for_once_a_week(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    hub: Server,
    clock: SimulatedClock,
) -> None:
    github.deploy(shop, START, "f" * 40)
    github.deploy(shop, START, shop.branches["main"])
    once()
    hub.requests.clear()
    for _ in range(3):
        clock.pass_by(3600)
        commit = github.add_commit(shop, clock.now(), branch="main")
        github.add_status(github.deploy(shop, clock.now(), commit.oid), clock.now(), "FAILURE")
        once()
    asked = [str(each.variables) for each in hub.requests if each.operation == "Commits"]
    assert len(asked) == 3
    assert not any("f" * 40 in each for each in asked)
    clock.pass_by(timedelta(days=7).total_seconds())
    github.add_status(github.deploy(shop, clock.now(), commit.oid), clock.now(), "FAILURE")
    once()
    assert "f" * 40 in str(hub.requests[-1].variables)


def test_a_merged_history_is_read_whole(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    """Merged branches of 30 commits, and deployed commits that no branch contains."""
    once()
    tips = []
    for number in range(6):
        branch = shop.branches["main"]
        for minute in range(30):
            at = clock.now() + timedelta(hours=number, minutes=minute)
            branch = github.add_commit(shop, at, branch).oid
            github.add_commit(shop, at, branch="main")
        merged = github.add_commit(shop, at, shop.branches["main"], branch, branch="main")
        tips.append(github.add_commit(shop, at, github.add_commit(shop, at, branch).oid).oid)
        github.deploy(shop, at, tips[-1])
        assert len(merged.parent_oids) == 2
    once()
    assert commits(database, shop) == reached(shop, shop.branches["main"], *tips)


def test_a_deployment_that_cannot_be_read_is_a_dead_letter_until_it_can(
    once: Ingest, database: Database, github: GitHub, shop: Repository, clock: SimulatedClock
) -> None:
    bad = list(shop.deployments.values())[4]
    bad.is_unreadable = True
    result = once()
    assert result.exit_code == 1
    query = "select subject_id, kind from raw.ingest_failures where resolved_at is null"
    assert rows(database, query) == [{"subject_id": bad.id, "kind": "deployment"}]
    assert len(rows(database, "select 1 from raw.deployments")) == 9
    bad.is_unreadable = False
    clock.pass_by(3600)
    assert once().exit_code == 0
    assert rows(database, query) == []
    assert unlike(database, github, "deployments", "deployment_statuses") == []


@pytest.mark.parametrize("operation", ["Deployments", "Deliveries", "Commits", "Probe"])
def test_a_run_that_ends_anywhere_leaves_the_rest_to_the_next(
    once: Ingest,
    database: Database,
    github: GitHub,
    shop: Repository,
    hub: Server,
    clock: SimulatedClock,
    operation: str,
) -> None:
    """GitHub fails after some requests, with new and deleted deployments and a long history."""
    once()
    for number in range(300):
        commit = github.add_commit(shop, clock.now(), branch="main")
        if number % 3 == 0:
            deploy(github, shop, clock.now(), commit.oid)
        clock.pass_by(60)
    gone = list(shop.deployments.values())[2:5]
    for deployment in gone:
        github.delete_deployment(deployment)
    for allowed in range(3):
        seen = 0

        def fail(name: str | None, _: Any, allowed: int = allowed) -> Fault | None:
            nonlocal seen
            seen += name == operation
            return Fault(status=503, body="") if seen > allowed else None

        hub.before_request = fail
        once()
    hub.before_request = None
    once()
    assert unlike(database, github, "deployments", "deployment_statuses") == []
    query = "select id from raw.deployments where vanished_at is not null"
    assert {row["id"] for row in rows(database, query)} == {each.id for each in gone}
    assert commits(database, shop) == reached(shop, shop.branches["main"])


def test_commits_are_covered_where_nothing_is_deployed(
    once: Ingest, github: GitHub, database: Database, clock: SimulatedClock
) -> None:
    """The metrics are complete up to the smallest covered_to of all repositories."""
    github.add_commit(github.create_repository("acme/tools", START), START, branch="main")
    query = """
        select repository, delivery_coverage.covered_to
        from raw.delivery_coverage
        inner join raw.repositories on repository_id = raw.repositories.id
        where kind = 'commits'
    """
    for _ in range(2):
        assert once(repositories="acme/shop,acme/tools").exit_code == 0
        covered = {row["repository"]: row["covered_to"] for row in rows(database, query)}
        assert covered["acme/tools"] == covered["acme/shop"] >= clock.now() - timedelta(minutes=1)
        clock.pass_by(4 * 3600)
