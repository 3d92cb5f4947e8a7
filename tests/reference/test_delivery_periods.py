"""Rows of teams: their periods, null or 0 figures, shares, complete and settled periods."""

from datetime import date
from typing import Any

import pytest

from tests.reference import Coverage
from tests.reference.delivery import Delivery, World, delivery
from tests.reference.delivery_cases import change, changes, incident, ran, shares, shop
from tests.reference.delivery_examples import (
    CORE,
    SHOP,
    WEB,
    at,
    pr,
    team,
    world,
)

D1 = ran("D1", "m1", "2 10:00")


def row(done: Delivery, week: str, name: str = "core") -> dict[str, Any]:
    return done.weekly[name, date.fromisoformat(week)]


def days(done: Delivery, name: str = "core") -> list[str]:
    return [str(day) for owner, day in done.weekly if owner == name]


def loaded(as_of: str) -> dict[str, Any]:
    return {"coverage": {SHOP: Coverage(covered_to=as_of)}}


def test_shares_of_a_rollback_come_from_its_withdrawn_changes() -> None:
    made = (change(1), change(2, "2 08:01", "Bob"), change(3, "2 08:02", "Eve"))
    done = delivery(shop(made, ran("D3", "m3", "2 10:00"), ran("R", "m1", "2 11:00")))
    assert shares(done, "R") == {"web": 0.25, "unassigned": 0.25}


def test_overtaken_and_redeployed_have_no_shares() -> None:
    done = delivery(shop(1, D1, ran("D1'", "m1", "2 11:00")))
    assert shares(done, "D1'") == {}


def test_a_weight_of_zero_counts_only_in_unweighted_figures() -> None:
    dan = team("ops", Dan=0)
    done = delivery(shop((change(1, author="Dan"),), D1, teams=(CORE, dan)))
    figures = row(done, "2026-03-02", "ops")
    assert (figures["deployments"], figures["weighted_deployments"]) == (1, 0.0)
    assert (figures["change_fail_rate"], figures["weighted_change_fail_rate"]) == (0.0, None)
    assert shares(done, "D1") == {"ops": 0.0, "unassigned": 1.0}


def test_measured_from_is_the_later_of_the_teams_first_change_and_first() -> None:
    early = world((pr(1, "Ada", "1 08:00", "1 09:00"),), (ran("F", "m1", "2 10:00"),))
    assert row(delivery(early), "2026-03-02")["measured_from"] == at("2 10:00")
    late = shop((pr(1, "Ada", "10 08:00", "10 09:00"),))
    assert row(delivery(late), "2026-03-09")["measured_from"] == at("10 09:00")


def test_figures_are_null_before_measured_from_but_not_in_its_period() -> None:
    # Ada's change is attributed on the 10th and was deployed from its branch on the 5th.
    made = pr(1, "Ada", "2 08:00", "10 09:00", head_sha=None)
    done = delivery(shop((made,), ran("D1", "m1", "11 09:00")))
    assert row(done, "2026-03-02")["deployments"] is None
    assert row(done, "2026-03-02")["failures_open"] is None
    assert row(done, "2026-03-02")["is_complete"] is True
    assert row(done, "2026-03-09")["deployments"] == 1
    assert row(done, "2026-03-09")["rollbacks"] == 0


def test_a_period_that_ends_at_measured_from_is_null() -> None:
    done = delivery(shop((pr(1, "Ada", "8 08:00", "9 00:00"),)))
    assert row(done, "2026-03-02")["deployments"] is None
    assert row(done, "2026-03-09")["deployments"] == 0


def test_rows_continue_to_the_last_deployment_and_recovery() -> None:
    made = changes(1)
    done = delivery(shop(made, ran("D1", "m1", "20 10:00"), **loaded("2026-03-03T00:00Z")))
    assert days(done) == ["2026-03-02", "2026-03-09", "2026-03-16"]
    ended = incident("2 11:00", "18 11:00")
    done = delivery(shop(made, D1, incidents=(ended,), **loaded("2026-03-03T00:00Z")))
    assert days(done) == ["2026-03-02", "2026-03-09", "2026-03-16"]


def test_a_recovery_counts_in_the_period_of_the_recovery() -> None:
    done = delivery(shop(1, D1, incidents=(incident("2 11:00", "10 10:00"),)))
    before, after = row(done, "2026-03-02"), row(done, "2026-03-09")
    assert (before["failed_deployments"], before["failures_recovered"]) == (1, 0)
    assert (after["failed_deployments"], after["failures_recovered"]) == (0, 1)
    assert after["median_recovery_hours"] == 192


@pytest.mark.parametrize(
    ("as_of", "still_open"), [("2026-03-10T09:59Z", 1), ("2026-03-10T10:00Z", 0)]
)
def test_a_failure_is_open_until_as_of_reaches_its_recovery(as_of: str, still_open: int) -> None:
    ended = incident("2 11:00", "10 10:00")
    done = delivery(shop(1, D1, incidents=(ended,), **loaded(as_of)))
    assert row(done, "2026-03-02")["failures_open"] == still_open


@pytest.mark.parametrize(
    ("as_of", "complete", "settled"),
    [
        ("2026-03-08T23:59Z", False, False),
        ("2026-03-09T00:00Z", True, False),
        ("2026-03-15T23:59Z", True, False),
        ("2026-03-16T00:00Z", True, True),
    ],
)
def test_complete_and_settled(as_of: str, complete: bool, settled: bool) -> None:
    figures = row(delivery(shop(1, D1, **loaded(as_of))), "2026-03-02")
    assert (figures["is_complete"], figures["is_settled"]) == (complete, settled)


def test_complete_needs_deployments_commits_and_incidents_too() -> None:
    late = {"incidents": Coverage(covered_to="2026-03-04T00:00Z")}
    done = delivery(shop(1, D1, delivery_coverage=late))
    assert row(done, "2026-03-02")["is_complete"] is False
    assert done.marts.velocity["core", date(2026, 3, 2)]["is_complete"] is True


def test_deployment_days_and_periods_are_in_the_reporting_time_zone() -> None:
    made = changes(2)
    late = (ran("D1", "m1", "2 22:30"), ran("D2", "m2", "2 23:30"))
    utc = delivery(shop(made, *late))
    berlin = delivery(shop(made, *late), reporting_timezone="Europe/Berlin")
    assert row(utc, "2026-03-02")["deployment_days"] == 1
    assert row(berlin, "2026-03-02")["deployment_days"] == 2


def test_months_have_the_same_columns_as_weeks() -> None:
    done = delivery(shop(1, D1))
    week, month = row(done, "2026-03-02"), done.monthly["core", date(2026, 3, 1)]
    assert [*week][2:] == [*month][2:]
    assert month["deployments"] == 1


def test_change_lead_time_is_total_and_deploy_hours() -> None:
    made = pr(1, "Ada", "2 08:00", "2 12:00")
    done = delivery(shop((made,), ran("D1", "m1", "2 15:00")))
    figures = done.pull_requests[SHOP, 1]
    assert (figures["change_lead_time_hours"], figures["deploy_hours"]) == (7.0, 3.0)
    assert done.marts.pull_requests[SHOP, 1]["total_hours"] == 4.0


def moving(left: str) -> World:
    """Ada moves from core to web; her change is merged on the 3rd at 00:00."""
    core = team("core", Ada=1)
    core["members"][0]["left_at"] = left
    web = team("web", Ada=0.5)
    web["members"][0]["joined_at"] = left
    made = pr(1, "Ada", "2 08:00", "3 00:00")
    return shop((made,), ran("D1", "m1", "3 09:00"), teams=(core, web))


def test_a_deployment_belongs_to_the_team_at_the_merge_not_at_the_deployment() -> None:
    assert shares(delivery(moving("2026-03-03T00:00Z")), "D1") == {"web": 0.5, "unassigned": 0.5}
    assert shares(delivery(moving("2026-03-03T01:00Z")), "D1") == {"core": 1.0}


def test_a_team_without_any_measured_change_has_null_figures() -> None:
    done = delivery(shop(1, D1, teams=(CORE, WEB)))
    figures = row(done, "2026-03-02", "web")
    assert (figures["deployments"], figures["measured_from"]) == (None, None)
