"""Kinds of deployments, the changes that each adds and withdraws, and deployment times."""

from dataclasses import replace
from typing import Any

import pytest

from tests.reference.delivery import Commit, Rule, delivery
from tests.reference.delivery_cases import (
    change,
    changes,
    deployed_by,
    kinds,
    ran,
    reason,
    row,
    shares,
    shop,
)
from tests.reference.delivery_examples import (
    SHOP,
    B,
    at,
    chain,
    commit,
    deployment,
    sha,
    world,
)

ELSEWHERE = "acme/elsewhere"


def test_first_adds_nothing_and_belongs_to_no_team() -> None:
    shipped = world(changes(1), (ran("F", "m1", "2 09:00"),))
    assert kinds(shipped) == "first"
    assert row(shipped, "F")["changes_added"] == 0
    assert shares(delivery(shipped), "F") == {}
    assert reason(shipped) == "before_first_deployment"


def test_an_ancestor_requested_before_the_running_one_succeeded_is_overtaken() -> None:
    late = shop(2, ran("D2", "m2", "2 10:00"), deployment("D1", "m1", "2 09:59", "2 10:30"))
    assert kinds(late) == "first deploy overtaken"
    assert row(late, "D1")["changes_withdrawn"] == 0


def test_an_ancestor_requested_when_the_running_one_succeeded_is_a_rollback() -> None:
    back = shop(2, ran("D2", "m2", "2 10:00"), deployment("R", "m1", "2 10:00", "2 10:30"))
    assert kinds(back) == "first deploy rollback"


def test_an_overtaken_deployment_never_runs() -> None:
    late = deployment("D1", "m1", "2 09:30", "2 10:30")
    then = shop(2, ran("D2", "m2", "2 10:00"), late, ran("D3", "m2", "2 11:00"))
    assert kinds(then) == "first deploy overtaken redeploy"


def test_a_redeploy_becomes_the_running_deployment() -> None:
    again = ran("D2'", "m2", "2 12:00")
    late = shop(2, ran("D2", "m2", "2 10:00"), again, deployment("D1", "m1", "2 11:00", "2 13:00"))
    assert kinds(late) == "first deploy redeploy overtaken"


def test_a_rollback_withdraws_and_the_next_deploy_adds_again() -> None:
    then = shop(
        2, ran("D2", "m2", "2 10:00"), ran("R", "m1", "2 11:00"), ran("D3", "m2", "2 12:00")
    )
    assert kinds(then) == "first deploy rollback deploy"
    assert row(then, "R")["changes_withdrawn"] == 1
    assert row(then, "D3")["changes_added"] == 1
    assert deployed_by(then, 2) == "D2"


def test_a_change_of_first_is_live_until_a_rollback_withdraws_it() -> None:
    deployments = (
        ran("F", "m2", "2 09:00"),
        ran("R", "m1", "2 10:00"),
        ran("D", "m2", "2 11:00"),
    )
    then = world(changes(2), deployments)
    assert row(then, "R")["changes_withdrawn"] == 1
    assert row(then, "D")["changes_added"] == 1
    assert (deployed_by(then, 1), deployed_by(then, 2)) == (None, "D")


def test_deployments_of_one_instant_are_ordered_by_request_then_by_id() -> None:
    one = deployment("Z", "m1", "2 09:00", "2 10:00")
    other = deployment("A", "m2", "2 09:30", "2 10:00")
    same = deployment("A'", "m2", "2 09:30", "2 10:00")
    assert list(delivery(shop(2, same, other, one)).deployments) == [
        (SHOP, SHOP, name) for name in ("B", "Z", "A", "A'")
    ]


def test_release_lines_side_by_side_neither_add_again_nor_withdraw() -> None:
    backport = change(8, "2 10:00", base_ref="v1", merge_commit_sha=sha("r1"))
    made = changes(2)
    then = shop(
        (*made, backport),
        ran("D2", "m2", "2 09:00"),
        ran("S1", "r1", "2 11:00"),
        ran("D2'", "m2", "2 12:00"),
        ran("S1'", "r1", "2 13:00"),
        commits=(*chain(*made), commit("r1", "2 10:00", "m0")),
    )
    assert kinds(then) == "first deploy deploy deploy deploy"
    rows = delivery(then).deployments.values()
    assert [one["changes_added"] for one in rows] == [0, 2, 1, 0, 0]
    assert {one["changes_withdrawn"] for one in rows} == {0}


def test_a_rollback_withdraws_nothing_of_another_release_line() -> None:
    backport = change(8, "2 08:30", base_ref="v1", merge_commit_sha=sha("r1"))
    made = changes(2)
    then = shop(
        (*made, backport),
        ran("S1", "r1", "2 09:00"),
        ran("D2", "m2", "2 10:00"),
        ran("R", "m1", "2 11:00"),
        ran("S1'", "r1", "2 12:00"),
        commits=(*chain(*made), commit("r1", "2 08:30", "m0")),
    )
    assert row(then, "R")["changes_withdrawn"] == 1
    assert row(then, "S1'")["changes_added"] == 0


def test_a_deployment_of_the_head_before_the_merge_contains_the_change() -> None:
    head = commit("head1", "2 08:30", "m0")
    (made,) = (change(1, "2 12:00"),)
    then = shop((made,), ran("D1", "head1", "2 09:00"), commits=(*chain(made), head))
    assert deployed_by(then, 1) == "D1"
    assert delivery(then).pull_requests[SHOP, 1]["deploy_hours"] == 0


def test_a_descendant_of_the_head_does_not_contain_the_change() -> None:
    made = change(1, "2 12:00")
    more = (commit("head1", "2 08:30", "m0"), commit("next", "2 08:40", "head1"))
    then = shop((made,), ran("D1", "next", "2 09:00"), commits=(*chain(made), *more))
    assert kinds(then) == "first deploy"
    assert reason(then) == "not_deployed"


def test_an_unknown_commit_is_a_new_first_and_live_changes_stay_live() -> None:
    gone = ran("X", "gone", "2 10:00")
    then = shop(2, ran("D1", "m1", "2 09:00"), gone, ran("D2", "m2", "2 11:00"))
    assert kinds(then) == "first deploy first deploy"
    assert row(then, "D2")["changes_added"] == 1


def test_after_unknown_commits_alone_the_first_known_one_is_first_too() -> None:
    gone = (ran("X", "gone", "2 07:00"), ran("Y", "gone", "2 07:30"))
    then = world(changes(2), (*gone, ran("D1", "m1", "2 09:00"), ran("D2", "m2", "2 10:00")))
    assert kinds(then) == "first first first deploy"
    assert reason(then, 1) == "before_first_deployment"
    assert deployed_by(then, 2) == "D2"


def test_a_merged_change_without_deployment_has_reason_not_deployed() -> None:
    assert reason(shop(1)) == "not_deployed"


def test_a_change_without_a_merge_commit_has_reason_no_merge_commit() -> None:
    assert reason(shop((change(1, merge_commit_sha=None),))) == "no_merge_commit"


def test_a_merge_commit_in_no_graph_has_reason_unknown_commit() -> None:
    made = change(1)
    assert reason(shop((made,), commits=(commit("m0", "1 12:00"),))) == "unknown_commit"


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (Rule(repositories=("acme/x",)),),
        (Rule(repositories=("*",), target="api", environment="^api$"),),
    ],
)
def test_a_repository_without_a_successful_deployment_is_not_measured(
    rules: tuple[Rule, ...],
) -> None:
    assert reason(shop(1, ran("D1", "m1", "2 09:00"), rules=rules)) == "not_measured"


def test_an_open_pull_request_has_no_reason() -> None:
    made = replace(change(1), merged_at=None, merge_commit_sha=None)
    done = delivery(shop((made,), commits=(commit("m0", "1 12:00"),)))
    assert set(done.pull_requests[SHOP, 1].values()) == {None}


API = Rule(repositories=("*",), target="api", environment="^api", labels=("svc:api",))
WEB = Rule(repositories=("*",), target="web", environment="^web", labels=("svc:web",))
ALL = Rule(repositories=("*",), target="all", environment="^all")


def services(labels: tuple[str, ...], *rules: Rule, **more: Any) -> dict[str, int]:
    """Return the number of changes that a deployment of each target adds."""
    made = change(1, "2 08:00", labels=labels, **more)
    deployments = [
        deployment(f"{of} {name}", of, when, when, environment=name)
        for name in ("api", "web", "all")
        for of, when in (("m0", "1 12:00"), ("m1", "2 09:00"))
    ]
    done = delivery(world((made,), tuple(deployments), rules=rules))
    return {
        name: one["changes_added"]
        for (_, name, id_), one in done.deployments.items()
        if "m1" in id_
    }


def test_a_change_belongs_to_the_targets_that_claim_it_and_to_those_without_filter() -> None:
    assert services(("SVC:api",), API, WEB, ALL) == {"api": 1, "web": 0, "all": 1}


def test_a_change_that_no_filter_claims_belongs_to_all_targets() -> None:
    assert services(("bug",), API, WEB, ALL) == {"api": 1, "web": 1, "all": 1}


def test_a_target_claims_changes_by_label_or_path() -> None:
    by_path = replace(API, paths=("services/api/*",))
    assert services((), by_path, WEB, paths=("services/api/a/b.py",)) == {"api": 1, "web": 0}
    assert services(("svc:api",), by_path, WEB, paths=("x",)) == {"api": 1, "web": 0}
    assert services(("svc:web",), by_path, WEB, paths=None) == {"api": 1, "web": 1}
    assert services(("svc:web",), API, WEB, paths=None) == {"api": 0, "web": 1}


def test_the_last_rule_of_a_repository_and_target_applies() -> None:
    assert services((), replace(API, environment="^none$"), API) == {"api": 1}
    assert services((), API, replace(API, environment="^none$")) == {}


def test_a_change_is_deployed_by_the_first_deployment_of_any_of_its_targets() -> None:
    deployments = (
        deployment("A0", "m0", "1 12:00", "1 12:00", environment="api"),
        deployment("W0", "m1", "2 09:00", "2 09:00", environment="web"),
        deployment("A1", "m1", "2 10:00", "2 10:00", environment="api"),
    )
    then = world(changes(1), deployments, rules=(API, WEB))
    assert deployed_by(then, 1) == "A1", "in web the change was in `first`"
    assert reason(then) is None


def test_other_repositories_changes_are_never_contained() -> None:
    other = change(1, repository=ELSEWHERE, id="PR_E", merge_commit_sha=sha("m1"))
    elsewhere = Commit(repository=ELSEWHERE, sha=sha("m1"), parents=(), committed_at=at("2 08:00"))
    made = changes(1)
    then = world(
        (*made, other),
        (B, ran("D1", "m1", "2 09:00")),
        repositories={SHOP: "main", ELSEWHERE: "main"},
        commits=(*chain(*made), elsewhere),
    )
    assert row(then, "D1")["changes_added"] == 1


def test_a_vanished_pull_request_is_not_a_change() -> None:
    assert (
        row(shop((change(1, is_vanished=True),), ran("D1", "m1", "2 09:00")), "D1")["changes_added"]
        == 0
    )


def test_an_excluded_pull_request_is_deployed_but_not_counted() -> None:
    made = (change(1), change(2, "2 08:01", title="Develop into main"))
    rules = ({"title": "Develop*", "reason": "between branches"},)
    done = delivery(shop(made, ran("D1", "m2", "2 09:00"), exclusions=rules))
    assert done.deployments[SHOP, SHOP, "D1"]["changes_added"] == 1
    assert shares(done, "D1") == {"core": 1.0}
    assert done.pull_requests[SHOP, 2]["deployment_id"] == "D1"
