"""Failure, recovery and rework: the table of causes and its open questions."""

from typing import Any

import pytest

from tests.reference.delivery import PullRequest, World, delivery
from tests.reference.delivery_cases import (
    causes,
    change,
    changes,
    failed,
    incident,
    ran,
    recovery,
    row,
    shop,
)
from tests.reference.delivery_examples import (
    SHOP,
    B,
    chain,
    commit,
    deployment,
    revert_of,
    sha,
    world,
)

HOTFIX: dict[str, Any] = {"head_ref": "hotfix/login"}
REVERT_1: dict[str, Any] = revert_of(1, "Change 1")
D1 = ran("D1", "m1", "2 10:00")


def rolled_back(when: str) -> World:
    return shop(1, D1, ran("R", "m0", when))


def reverted(when: str) -> World:
    return shop(changes(2, c2=REVERT_1), D1, ran("D2", "m2", when))


def hotfixed(when: str) -> World:
    return shop(changes(2, c2=HOTFIX), D1, ran("D2", "m2", when))


def status_failed(when: str) -> World:
    return shop(1, ran("D1", "m1", "2 10:00", ("failure", when)))


def incident_at(when: str) -> World:
    return shop(1, D1, incidents=(incident(when),))


CASES = pytest.mark.parametrize(
    ("happens", "cause"),
    [
        (rolled_back, "rollback"),
        (reverted, "revert"),
        (hotfixed, "hotfix"),
        (status_failed, "status"),
        (incident_at, "incident"),
    ],
)


@CASES
def test_a_cause_counts_within_the_half_open_window(happens: Any, cause: str) -> None:
    assert causes(happens("9 09:59")) == cause
    assert causes(happens("9 10:00")) == ""


@CASES
def test_the_window_is_configurable(happens: Any, cause: str) -> None:
    assert causes(happens("3 10:00"), failure_window_days=1) == ""
    assert causes(happens("20 10:00"), failure_window_days=30) == cause


@CASES
def test_a_cause_can_be_left_out(happens: Any, cause: str) -> None:
    others = {"incident", "rollback", "revert", "hotfix", "status"} - {cause}
    assert causes(happens("3 10:00"), failure_causes=others) == ""


def test_unknown_cause_is_an_error() -> None:
    with pytest.raises(ValueError, match="incidents"):
        delivery(shop(1), failure_causes=("incidents",))


def test_a_deployment_fails_once_and_names_every_cause() -> None:
    then = shop(
        changes(2, c2=HOTFIX), D1, ran("D2", "m2", "2 12:00"), incidents=(incident("2 11:00"),)
    )
    assert causes(then) == "incident hotfix"
    (week,) = (one for one in delivery(then).weekly.values() if one["failed_deployments"])
    assert week["failed_deployments"] == 1


# Rollbacks


def test_a_rollback_blames_the_first_deploy_that_it_went_back_past() -> None:
    deployments = (D1, ran("D2", "m2", "2 11:00"), ran("D3", "m3", "2 12:00"))
    then = shop(3, *deployments, ran("R", "m1", "2 13:00"))
    assert failed(then) == "D2"


def test_a_second_rollback_blames_the_deploy_after_the_first_rollback() -> None:
    then = shop(
        2,
        D1,
        ran("D2", "m2", "2 11:00"),
        ran("R", "m1", "2 12:00"),
        ran("D3", "m2", "2 13:00"),
        ran("R'", "m1", "2 14:00"),
    )
    assert failed(then) == "D2 D3"


def test_a_rollback_to_a_commit_skipped_by_a_former_rollback_blames_the_later_deploy() -> None:
    then = shop(
        3,
        D1,
        ran("D2", "m2", "2 11:00"),
        ran("D3", "m3", "2 12:00"),
        ran("R", "m1", "2 13:00"),
        ran("D4", "m3", "2 14:00"),
        ran("R'", "m2", "2 15:00"),
    )
    assert failed(then) == "D2 D4"


def test_a_rollback_to_a_commit_that_never_ran_blames_the_next_deploy() -> None:
    then = shop(3, D1, ran("D3", "m3", "2 11:00"), ran("R", "m2", "2 12:00"))
    assert failed(then) == "D3"


def test_a_rollback_does_not_blame_another_release_line() -> None:
    made = changes(2)
    backport = change(8, "2 10:30", merge_commit_sha=sha("r1"))
    then = shop(
        (*made, backport),
        D1,
        ran("S", "r1", "2 11:00"),
        ran("D2", "m2", "2 12:00"),
        ran("R", "m1", "2 13:00"),
        commits=(*chain(*made), commit("r1", "2 10:30", "m0")),
    )
    assert failed(then) == "D2"


def test_a_rollback_remedies_only_the_blamed_deployment() -> None:
    then = shop(
        3,
        D1,
        ran("D2", "m2", "2 11:00"),
        ran("D3", "m3", "2 12:00"),
        ran("R", "m1", "2 13:00"),
        incidents=(incident("2 12:30", "2 16:00"),),
    )
    assert (recovery(then, "D2"), recovery(then, "D3")) == (2, 4)


def test_a_rollback_to_before_first_blames_nothing() -> None:
    then = world(changes(2), (ran("F", "m2", "2 09:00"), ran("R", "m1", "2 10:00")))
    assert failed(then) == ""
    assert row(then, "R")["is_rework"]


# Reverts


def test_a_revert_fails_the_deployment_that_first_added_the_change() -> None:
    deployments = (D1, ran("D2", "m2", "2 11:00"), ran("D3", "m3", "2 12:00"))
    assert failed(shop(changes(3, c3=REVERT_1), *deployments)) == "D1"


def test_a_revert_of_a_revert_is_not_evidence() -> None:
    made = changes(3, c2=REVERT_1, c3=revert_of(2, 'Revert "Change 1"'))
    then = shop(made, D1, ran("D2", "m2", "2 11:00"), ran("D3", "m3", "2 12:00"))
    assert failed(then) == "D1"
    assert [row(then, name)["is_rework"] for name in ("D2", "D3")] == [True, False]


def test_a_revert_of_a_revert_of_a_revert_is_not_evidence() -> None:
    made = changes(
        4,
        c2=REVERT_1,
        c3=revert_of(2, 'Revert "Change 1"'),
        c4=revert_of(3, 'Revert "Revert "Change 1""'),
    )
    names = (("D2", "m2"), ("D3", "m3"), ("D4", "m4"))
    later = [ran(name, of, f"2 1{hour}:00") for hour, (name, of) in enumerate(names, 1)]
    then = shop(made, D1, *later)
    assert failed(then) == "D1"
    assert not row(then, "D4")["is_rework"]


def test_a_change_added_together_with_its_revert_is_not_a_failure() -> None:
    assert failed(shop(changes(2, c2=REVERT_1), ran("D2", "m2", "2 11:00"))) == ""


def test_a_change_added_again_together_with_its_revert_is_not_a_failure() -> None:
    then = shop(changes(2, c2=REVERT_1), D1, ran("R", "m0", "2 11:00"), ran("D2", "m2", "2 12:00"))
    assert causes(then) == "rollback"
    assert failed(then) == "D1"


@pytest.mark.parametrize(
    "facts",
    [
        {"body": f"Reverts {SHOP}#1"},
        {"body": "It broke.\n\nreverts #1, see the log"},
        {"body": f"This reverts commit {sha('m1')}."},
        {"body": f"This reverts commit {sha('m1')[:7]}."},
        {"head_ref": "revert-1-topic-1"},
        {"title": 'Revert "Change 1"'},
        {"title": 'Revert "Whatever it was called (#1)"'},
    ],
    ids=lambda facts: " ".join(facts.values()),
)
def test_reverts_are_recognised_by_body_branch_and_title(facts: dict[str, str]) -> None:
    then = shop(changes(2, c2=facts), D1, ran("D2", "m2", "2 11:00"))
    assert causes(then) == "revert"
    assert row(then, "D2")["is_rework"]


@pytest.mark.parametrize(
    "facts",
    [
        {"body": "Reverts acme/elsewhere#1"},
        {"body": "A change that partly reverts #1"},
        {"title": "Revert the button to blue"},
        {"head_ref": "topic-revert-1-x"},
    ],
    ids=lambda facts: " ".join(facts.values()),
)
def test_other_texts_are_not_recognised_as_reverts(facts: dict[str, str]) -> None:
    then = shop(changes(2, c2=facts), D1, ran("D2", "m2", "2 11:00"))
    assert causes(then) == ""
    assert not row(then, "D2")["is_rework"]


@pytest.mark.parametrize(
    "facts", [{"title": 'Reapply "Change 1"'}, {"head_ref": "revert-2-revert-1-topic-1"}]
)
def test_reverts_of_reverts_by_title_and_branch(facts: dict[str, str]) -> None:
    then = shop(changes(3, c2=REVERT_1, c3=facts), D1, ran("D3", "m3", "2 11:00"))
    assert not row(then, "D3")["is_rework"]


def test_a_revert_of_two_changes_fails_both_deployments() -> None:
    both = {"body": "Reverts #1\nReverts #2"}
    deployments = (D1, ran("D2", "m2", "2 11:00"), ran("D3", "m3", "2 12:00"))
    assert failed(shop(changes(3, c3=both), *deployments)) == "D1 D2"


# Hotfixes


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({"head_ref": "hotfix/a"}, "hotfix"),
        ({"head_ref": "hotfix-a"}, "hotfix"),
        ({"head_ref": "Hotfix/a"}, "hotfix"),
        ({"labels": ("Hotfix",)}, "hotfix"),
        ({"head_ref": "hotfixes/a"}, ""),
        ({"head_ref": "ada/hotfix/a"}, ""),
        ({"labels": ("hotfixed",)}, ""),
    ],
)
def test_hotfixes_are_recognised_by_branch_and_label(facts: dict[str, Any], cause: str) -> None:
    assert causes(shop(changes(2, c2=facts), D1, ran("D2", "m2", "2 11:00"))) == cause


def test_a_hotfix_fails_the_last_deploy_before_it() -> None:
    then = shop(
        changes(3, c3=HOTFIX),
        D1,
        ran("D2", "m2", "2 11:00"),
        ran("D2'", "m2", "2 11:30"),
        ran("D3", "m3", "2 12:00"),
    )
    assert failed(then) == "D2"
    assert recovery(then, "D2") == 1


def test_with_a_hotfix_that_closes_an_incident_only_the_incident_counts() -> None:
    then = shop(
        changes(3, c3=HOTFIX),
        D1,
        ran("D2", "m2", "2 11:00"),
        ran("D3", "m3", "2 12:00"),
        incidents=(incident("2 10:30", "2 11:40", fixed_by="#3"),),
    )
    assert failed(then) == "D1"
    assert recovery(then) == 2


def test_a_hotfix_that_closes_an_unlinked_incident_is_not_evidence() -> None:
    then = shop(
        changes(2, c2=HOTFIX),
        D1,
        ran("D2", "m2", "2 11:00"),
        incidents=(incident("2 10:30", "2 10:50", fixed_by="#2", caused_by_change=False),),
    )
    assert failed(then) == ""


def test_a_hotfix_added_again_after_a_rollback_counts_once() -> None:
    then = shop(
        changes(3, c3=HOTFIX),
        D1,
        ran("D3", "m3", "2 11:00"),
        ran("R", "m1", "2 12:00"),
        ran("D4", "m2", "2 13:00"),
        ran("D5", "m3", "2 14:00"),
    )
    assert failed(then) == "D1 D3"


# Statuses


def test_a_failure_by_status_is_remedied_by_a_later_success() -> None:
    statuses = (("failure", "2 11:00"), ("success", "2 12:00"))
    assert recovery(shop(1, ran("D1", "m1", "2 10:00", *statuses))) == 2


def test_a_failure_by_status_is_remedied_by_the_next_effective_deployment() -> None:
    broken = ran("D1", "m1", "2 10:00", ("error", "2 11:00"))
    assert recovery(shop(1, broken, ran("D1'", "m1", "2 13:00"))) == 3
    assert recovery(shop(1, broken)) is None


def test_a_deployment_before_the_failing_status_is_not_a_remedy() -> None:
    broken = ran("D1", "m1", "2 10:00", ("error", "2 12:00"))
    again = ran("D1'", "m1", "2 11:00")
    assert recovery(shop(1, broken, again)) is None
    assert recovery(shop(1, broken, again, ran("D1''", "m1", "2 13:00"))) == 3


def test_an_overtaken_deployment_is_not_a_remedy() -> None:
    broken = ran("D2", "m2", "2 10:00", ("error", "2 11:00"))
    late = deployment("D1", "m1", "2 09:00", "2 12:00")
    assert recovery(shop(2, broken, late), "D2") is None


def test_a_status_that_is_not_a_counted_cause_has_no_remedy() -> None:
    broken = ran("D1", "m1", "2 10:00", ("error", "2 11:00"), ("success", "2 12:00"))
    then = shop(1, broken, incidents=(incident("2 10:30", "2 18:00"),))
    assert recovery(then) == 2
    assert recovery(then, failure_causes=["incident"]) == 8


def test_a_failing_status_before_the_first_success_does_not_count() -> None:
    then = shop(1, ran("D1", "m1", "2 10:00", ("failure", "2 09:00")))
    assert causes(then) == ""


def test_other_kinds_than_deploy_do_not_fail_by_status() -> None:
    again = ran("D1'", "m1", "2 11:00", ("failure", "2 12:00"))
    assert failed(shop(1, D1, again)) == ""


# Recovery


def test_a_remedy_has_no_window() -> None:
    then = shop(
        changes(2, c2=REVERT_1),
        D1,
        ran("D2", "m2", "20 10:00"),
        incidents=(incident("2 11:00"),),
    )
    assert causes(then) == "incident"
    assert recovery(then) == 18 * 24


def test_recovery_is_the_end_of_the_last_incident_and_none_while_one_is_open() -> None:
    one, other = incident("2 11:00", "2 12:00"), incident("2 11:30", "2 15:00", id="I2")
    assert recovery(shop(1, D1, incidents=(one, other))) == 5
    still_open = incident("2 11:30", id="I2")
    assert recovery(shop(1, D1, incidents=(one, still_open))) is None


def test_recovery_is_the_first_remedy_even_if_the_incident_continues() -> None:
    then = shop(1, D1, ran("R", "m0", "2 12:00"), incidents=(incident("2 11:00", "2 18:00"),))
    assert causes(then) == "incident rollback"
    assert recovery(then) == 2


def test_an_incident_that_ended_before_the_deployment_is_not_a_recovery() -> None:
    named = incident("2 08:00", "2 10:00", deployment_id="D1")
    then = shop(1, D1, incidents=(named,))
    assert causes(then) == "incident"
    assert recovery(then) is None


def fixed(*fixes: PullRequest, **more: Any) -> World:
    """An incident of D1 that #2 closes at 12:00; #2 is deployed at 14:00 if there is D2."""
    closed = incident("2 11:00", "2 12:00", fixed_by="#2")
    return shop((*changes(1), *fixes), D1, incidents=(closed,), **more)


def test_an_incident_that_a_change_closed_ends_when_that_is_deployed() -> None:
    fix = change(2, "2 12:00")
    closed = incident("2 11:00", "2 12:00", fixed_by="#2")
    assert recovery(fixed(fix)) is None
    then = shop((*changes(1), fix), D1, ran("D2", "m2", "2 14:00"), incidents=(closed,))
    assert recovery(then) == 4
    assert row(then, "D2")["is_rework"]


def test_an_incident_fixed_by_a_commit_ends_when_that_is_deployed() -> None:
    made = changes(2)
    closed = incident("2 11:00", "2 12:00", fixed_by=sha("direct"))
    commits = (*chain(*made), commit("direct", "2 11:50", "m2"))
    shipped = ran("D2", "direct", "2 15:00")
    assert recovery(shop(made, D1, shipped, incidents=(closed,), commits=commits)) == 5
    assert recovery(shop(made, D1, incidents=(closed,), commits=commits)) is None


@pytest.mark.parametrize("fixed_by", ["#99", sha("gone"), "acme/elsewhere#1"])
def test_an_incident_with_an_unknown_fix_ends_at_resolved_at(fixed_by: str) -> None:
    closed = incident("2 11:00", "2 12:00", fixed_by=fixed_by)
    assert recovery(shop(1, D1, incidents=(closed,))) == 2


def test_an_incident_closed_by_a_change_in_first_ends_at_resolved_at() -> None:
    closed = incident("2 11:00", "2 12:00", fixed_by="#1")
    first, later = ran("F", "m1", "2 09:00"), ran("D2", "m2", "2 10:00")
    then = world(changes(2), (first, later), incidents=(closed,))
    assert recovery(then, "D2") == 2


def test_an_incident_closed_by_a_change_that_is_not_measured_ends_at_resolved_at() -> None:
    elsewhere = change(7, "2 12:00", repository="acme/elsewhere", id="PR_E")
    closed = incident("2 11:00", "2 12:00", fixed_by="acme/elsewhere#7")
    made = changes(1)
    repositories = {SHOP: "main", "acme/elsewhere": "main"}
    then = world(
        (*made, elsewhere),
        (B, D1),
        incidents=(closed,),
        repositories=repositories,
        commits=chain(*made),
    )
    assert recovery(then) == 2


# Rework


def test_a_rollback_is_rework() -> None:
    assert row(rolled_back("3 10:00"), "R")["is_rework"]


def test_a_deploy_that_adds_nothing_is_not_rework() -> None:
    made = changes(1)
    side = commit("side", "2 10:30", "m1")
    then = shop(made, D1, ran("D2", "side", "2 11:00"), commits=(*chain(*made), side))
    assert row(then, "D2")["kind"] == "deploy"
    assert not row(then, "D2")["is_rework"]


def test_reverts_hotfixes_and_restored_changes_together_are_rework() -> None:
    back = (D1, ran("R", "m0", "2 11:00"))
    made = changes(3, c2=HOTFIX, c3={"title": 'Revert "Something old"'})
    assert row(shop(made, *back, ran("D3", "m3", "2 12:00")), "D3")["is_rework"]
    with_more = changes(3, c2=HOTFIX)
    assert not row(shop(with_more, *back, ran("D3", "m3", "2 12:00")), "D3")["is_rework"]


@pytest.mark.parametrize(("is_linked", "is_rework"), [(None, True), (False, False)])
def test_a_change_that_closes_an_incident_is_rework_if_that_is_linked(
    is_linked: bool | None, is_rework: bool
) -> None:
    closed = incident("2 11:00", "2 12:00", fixed_by="#2", caused_by_change=is_linked)
    then = shop(2, D1, ran("D2", "m2", "2 14:00"), incidents=(closed,))
    assert row(then, "D2")["is_rework"] is is_rework
