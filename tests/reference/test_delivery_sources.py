"""Deployments from GitHub's data: every row of the table of sources."""

from dataclasses import replace
from typing import Any

import pytest

from tests.reference.delivery import (
    Attempt,
    Release,
    Rule,
    Status,
    Tag,
    WorkflowRun,
    World,
    delivery,
)
from tests.reference.delivery_cases import change, changes, ran, row, shop
from tests.reference.delivery_examples import SHOP, at, deployment, optional_at, sha, world


def deployed(of: World) -> dict[str, tuple[str, str]]:
    """Return the day and time of request and success by id."""
    return {
        key[-1]: (f"{one['requested_at']:%d %H:%M}", f"{one['deployed_at']:%d %H:%M}")
        for key, one in delivery(of).deployments.items()
    }


def by(source: str, **more: Any) -> tuple[Rule, ...]:
    return (Rule(repositories=("acme/*",), source=source, **more),)


@pytest.mark.parametrize(
    ("environment", "matches"),
    [
        ("production", True),
        ("Prod", True),
        ("LIVE", True),
        ("prod-us", True),
        ("production/eu", True),
        ("prod2", True),
        ("products", False),
        ("preprod", False),
        ("livestage", False),
        ("staging", False),
    ],
)
def test_production_environments_by_default(environment: str, matches: bool) -> None:
    then = world(
        changes(1), (deployment("D", "m1", "2 09:00", "2 09:00", environment=environment),)
    )
    assert bool(delivery(then).deployments) is matches


def test_without_an_environment_the_original_one_counts() -> None:
    one = deployment(
        "D", "m1", "2 09:00", "2 09:00", environment=None, original_environment="production"
    )
    renamed = replace(one, id="E", environment="gone")
    assert list(deployed(world(changes(1), (one, renamed)))) == ["D"]


def test_a_deployment_of_another_task_does_not_count() -> None:
    other = replace(ran("D", "m1", "2 09:00"), task="deploy:migrations")
    assert deployed(world(changes(1), (other,))) == {}


def test_a_deployment_is_deployed_at_its_first_success() -> None:
    one = deployment(
        "D", "m1", "2 09:00", "2 10:00", ("success", "2 11:00"), ("inactive", "5 09:00")
    )
    early = replace(
        one, statuses=(*reversed(one.statuses), Status(state="queued", created_at=at("2 09:10")))
    )
    assert deployed(world(changes(1), (early,))) == {"D": ("02 09:00", "02 10:00")}


def release(name: str, published: str | None, **more: Any) -> Release:
    facts: dict[str, Any] = {"tag": name, "commit_sha": sha("m1")}
    return Release(id=name, repository=SHOP, published_at=optional_at(published), **(facts | more))


RELEASES = (
    release("v1", "2 09:00"),
    release("v2", "3 09:00", is_prerelease=True),
    release("v3", None, is_draft=True),
    release("tool-1", "4 09:00"),
)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param({}, ["v1", "tool-1"], id="all"),
        pytest.param({"tag": "^v[0-9]"}, ["v1"], id="by tag"),
        pytest.param({"prereleases": True}, ["v1", "v2", "tool-1"], id="with prereleases"),
    ],
)
def test_releases(options: dict[str, Any], found: list[str]) -> None:
    then = world(changes(1), (), releases=RELEASES, rules=by("releases", **options))
    assert list(deployed(then)) == found
    assert deployed(then)["v1"] == ("02 09:00", "02 09:00")


def test_a_lightweight_tag_has_its_commits_date_and_is_approximate() -> None:
    tags = (
        Tag(id="t1", repository=SHOP, name="api-v1", commit_sha=sha("m1"), tagged_at=at("3 09:00")),
        Tag(id="t2", repository=SHOP, name="api-v2", commit_sha=sha("m2"), tagged_at=None),
        Tag(id="t3", repository=SHOP, name="api-v3", commit_sha=sha("gone"), tagged_at=None),
        Tag(id="t4", repository=SHOP, name="web-v1", commit_sha=sha("m2"), tagged_at=at("4 09:00")),
    )
    then = world(changes(2), (), tags=tags, rules=by("tags", tag="^api-v"))
    assert deployed(then) == {"t2": ("02 08:02", "02 08:02"), "t1": ("03 09:00", "03 09:00")}
    assert (row(then, "t1")["is_approximate"], row(then, "t2")["is_approximate"]) == (False, True)


def attempt(number: int, conclusion: str | None, start: str, end: str | None) -> Attempt:
    return Attempt(
        number=number, conclusion=conclusion, run_started_at=at(start), ended_at=optional_at(end)
    )


def test_a_workflow_run_counts_at_its_first_attempt_that_succeeded() -> None:
    attempts = (
        attempt(1, "failure", "2 09:00", "2 09:30"),
        attempt(2, "success", "2 10:00", "2 10:30"),
        attempt(3, "success", "2 11:00", "2 11:30"),
    )
    run = WorkflowRun(
        id="r1",
        repository=SHOP,
        workflow="Deploy",
        path=".github/workflows/deploy.yml",
        branch="main",
        head_sha=sha("m1"),
        attempts=attempts,
    )
    others = (
        replace(run, id="r2", branch="topic"),
        replace(run, id="r3", workflow="Test", path=".github/workflows/test.yml"),
        replace(run, id="r4", attempts=attempts[:1]),
        replace(run, id="r5", attempts=(attempt(1, None, "2 09:00", None),)),
    )
    for workflow in ("Deploy", "deploy.yml"):
        rules = by("workflow", workflow=workflow)
        then = world(changes(1), (), workflow_runs=(run, *others), rules=rules)
        assert deployed(then) == {"r1": ("02 10:00", "02 10:30")}


def test_merges_into_the_default_branch_are_a_proxy() -> None:
    made = (
        change(1, "2 08:00"),
        change(2, "2 09:00", base_ref="release"),
        change(3, "2 10:00", merge_commit_sha=None),
    )
    then = shop(made, rules=by("merges"), commits=world(made[:1], ()).commits)
    assert deployed(then) == {"PR_1": ("02 08:00", "02 08:00")}
    assert row(then, "PR_1")["is_proxy"] is True
