"""Invariants that hold in every random world."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference.delivery import CAUSES, World, delivery
from tests.reference.delivery_worlds import options, random_world, worlds

FACTS = (
    *("pull_requests", "commits", "deployments", "releases", "tags", "workflow_runs"),
    *("issues", "incidents"),
)
KINDS = {"first", "overtaken", "redeploy", "rollback", "deploy"}
REASONS = {
    *("not_measured", "no_merge_commit", "unknown_commit"),
    *("before_first_deployment", "not_deployed"),
}
LINKED = {
    *("deployment", "commit", "pull_request", "inferred", "not_caused_by_a_change"),
    *("no_target", "not_measured", "before_first_deployment", "no_deployment_to_blame"),
    "outside_window",
}

# Small worlds that can shrink, and larger ones that cannot.
all_worlds = worlds() | st.builds(random_world, st.integers(0, 9999), st.just(80))
any_world = given(world=all_worlds, options=options())
unhurried = settings(
    max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@unhurried
@any_world
def test_shares_of_a_deployment_add_up_to_one(world: World, options: Any) -> None:
    done = delivery(world, **options)
    weights: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for (_, repository, number), row in done.marts.team_pull_requests.items():
        weights[repository, number].append(row["weight"])
    for key, row in done.deployments.items():
        changes = done.added[key] | done.withdrawn[key]
        shares = [one["share"] for (_, *of), one in done.team_deployments.items() if (*of,) == key]
        if not changes:
            assert shares == []
        elif all(sum(weights[change]) <= 1 for change in changes):
            in_no_team = sum(not weights[change] for change in changes)
            assert sum(shares) * len(changes) + in_no_team == len(changes)
        assert row["changes_added"] + row["changes_withdrawn"] == len(changes)


@unhurried
@any_world
def test_every_merged_pull_request_has_a_deployment_or_a_reason(world: World, options: Any) -> None:
    done = delivery(world, **options)
    merged = [one for one in world.pull_requests if one.merged_at and not one.is_vanished]
    assert set(done.changes) == {one.key for one in merged}
    for row in done.changes.values():
        assert (row["deployment_id"] is None) == (row["deployed_at"] is None)
        assert (row["deployment_id"] is None) == (row["not_deployed_reason"] in REASONS)


@unhurried
@any_world
def test_a_change_is_added_and_withdrawn_in_turn(world: World, options: Any) -> None:
    done = delivery(world, **options)
    turns: dict[Any, list[str]] = defaultdict(list)
    for key in done.deployments:
        assert not done.added[key] & done.withdrawn[key]
        for change in done.added[key]:
            turns[key[:2], change].append("added")
        for change in done.withdrawn[key]:
            turns[key[:2], change].append("withdrawn")
    for turn in turns.values():
        assert all(one != other for one, other in pairwise(turn))


@unhurried
@any_world
def test_added_changes_are_contained_and_undeployed_ones_are_not(
    world: World, options: Any
) -> None:
    done = delivery(world, **options)
    parents = {one.sha: one.parents for one in world.commits}
    by_key = {one.key: one for one in world.pull_requests}

    def contains(sha: str | None, change: tuple[str, int]) -> bool:
        reached, left = set(), [sha]
        while left:
            commit = left.pop()
            if commit in parents and commit not in reached:
                reached.add(commit)
                left += parents[commit]
        merged = by_key[change].merge_commit_sha
        return merged in reached or (sha in parents and by_key[change].head_sha == sha)

    for key, row in done.deployments.items():
        for change in done.added[key]:
            assert contains(row["commit_sha"], change)
        for change in done.withdrawn[key]:
            assert not contains(row["commit_sha"], change)
    for change, found in done.changes.items():
        if found["not_deployed_reason"] != "not_deployed":
            continue
        for (repository, target, _), row in done.deployments.items():
            # A service's deployment may contain changes that another service claims.
            if repository == change[0] == target and row["kind"] != "overtaken":
                assert not contains(row["commit_sha"], change)


@unhurried
@any_world
def test_only_deploys_fail_and_recover(world: World, options: Any) -> None:
    for row in delivery(world, **options).deployments.values():
        assert row["is_failed"] == bool(row["failure_causes"])
        assert set(row["failure_causes"]) <= set(options["failure_causes"])
        if row["is_failed"]:
            assert row["kind"] == "deploy"
        else:
            assert (row["recovered_at"], row["recovery_hours"]) == (None, None)
        if row["recovered_at"] is not None:
            assert row["recovered_at"] > row["deployed_at"]
        if row["is_rework"]:
            assert row["kind"] == "rollback" or row["changes_added"] > 0
        if row["kind"] not in ("deploy", "rollback"):
            assert row["changes_added"] == row["changes_withdrawn"] == 0


@unhurried
@any_world
def test_deployments_that_fail_by_some_causes_also_fail_by_all(world: World, options: Any) -> None:
    some = delivery(world, **options).deployments
    every = delivery(world, **options | {"failure_causes": CAUSES}).deployments
    for key, row in some.items():
        left = [one for one in every[key]["failure_causes"] if one in options["failure_causes"]]
        assert list(row["failure_causes"]) == left


@unhurried
@any_world
def test_lead_time_is_total_and_deploy_hours(world: World, options: Any) -> None:
    done = delivery(world, **options)
    assert set(done.pull_requests) == set(done.marts.pull_requests)
    for key, row in done.pull_requests.items():
        facts = done.marts.pull_requests[key]
        if row["deployed_at"] is None:
            assert (row["change_lead_time_hours"], row["deploy_hours"]) == (None, None)
        elif row["deployed_at"] >= facts["merged_at"]:
            total = facts["total_hours"] + row["deploy_hours"]
            assert row["change_lead_time_hours"] == pytest.approx(total)
        else:
            assert row["deploy_hours"] == 0


@unhurried
@any_world
def test_figures_of_a_period_fit_together(world: World, options: Any) -> None:
    done = delivery(world, **options)
    for row in (*done.weekly.values(), *done.monthly.values()):
        if row["deployments"] is None:
            free = ("team_id", "week", "month", "measured_from", "is_complete", "is_settled")
            assert {row[name] for name in row if name not in free} == {None}
            continue
        assert row["measured_from"] is not None
        assert 0 <= row["weighted_deployments"] <= row["deployments"]
        assert row["deployment_days"] <= row["deployments"]
        assert row["failures_open"] <= row["failed_deployments"] <= row["deployments"]
        assert row["rework_deployments"] <= row["deployments"] + row["rollbacks"]
        assert row["weighted_changes_deployed"] <= row["changes_deployed"]
        assert (row["change_fail_rate"] is None) == (row["deployments"] == 0)
        assert (row["median_deploy_hours"] is None) == (row["changes_deployed"] == 0)
        assert (row["median_recovery_hours"] is None) == (row["failures_recovered"] == 0)
        assert row["is_complete"] or not row["is_settled"]
        for name in row:
            if name.endswith("_rate") and row[name] is not None:
                assert 0 <= row[name] <= 1


@unhurried
@given(world=all_worlds, options=options(), random=st.randoms(use_true_random=False))
def test_the_order_of_the_facts_does_not_matter(world: World, options: Any, random: Any) -> None:
    shuffled: dict[str, Any] = {
        name: tuple(random.sample(getattr(world, name), len(getattr(world, name))))
        for name in FACTS
    }
    one, other = delivery(world, **options), delivery(replace(world, **shuffled), **options)
    for name in ("deployments", "team_deployments", "incidents", "changes", "weekly", "monthly"):
        assert getattr(one, name) == getattr(other, name)


@unhurried
@any_world
def test_kinds_follow_from_the_deployment_that_ran_before(world: World, options: Any) -> None:
    running: dict[Any, Any] = {}
    for key, row in delivery(world, **options).deployments.items():
        before = running.get(key[:2])
        if before is None:
            assert row["kind"] == "first"
        elif row["kind"] == "redeploy":
            assert row["commit_sha"] == before["commit_sha"]
        elif row["kind"] == "overtaken":
            assert row["requested_at"] < before["deployed_at"]
        elif row["kind"] == "rollback":
            assert row["requested_at"] >= before["deployed_at"]
        if row["kind"] != "overtaken":
            running[key[:2]] = row


def test_everything_happens_in_random_worlds() -> None:
    found: Counter[str] = Counter()
    for seed in range(20):
        world = random_world(seed, 150)
        done = delivery(world)
        for row in done.deployments.values():
            found.update([row["kind"], *row["failure_causes"], row["source"]])
            found["recovered"] += row["recovered_at"] is not None
            found["rework by a deploy"] += row["is_rework"] and row["kind"] == "deploy"
            within = row["is_failed"] and row["recovered_at"]
            found["recovered late"] += bool(
                within and row["recovered_at"] - row["deployed_at"] > timedelta(days=7)
            )
        found.update(row["not_deployed_reason"] for row in done.changes.values())
        found.update(
            f"linked {row['linked_by'] or row['not_linked_reason']}"
            for row in done.incidents.values()
        )
        found["deployed before its merge"] += sum(
            row["deploy_hours"] == 0.0 for row in done.pull_requests.values()
        )
        found["figures before measured_from"] += sum(
            row["deployments"] is None for row in done.weekly.values()
        )
    sources = {"deployments", "releases", "tags", "workflow", "merges"}
    linked = {f"linked {how}" for how in LINKED}
    expected = KINDS | set(CAUSES) | REASONS | sources | linked
    expected |= {"recovered", "recovered late", "rework by a deploy"}
    expected |= {"deployed before its merge", "figures before measured_from"}
    assert {name for name in expected if not found[name]} == set()
