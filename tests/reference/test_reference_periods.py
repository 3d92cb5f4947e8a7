"""Weeks and months: which have rows, which merges count, when they are complete."""

from datetime import UTC, date, datetime

import pytest

from tests.reference import Build, Coverage, reference
from tests.reference.cases import (
    ADA,
    CORE,
    EXAMPLES,
    REPOSITORY,
    WEB,
    at,
    complete_periods,
    merged_by_period,
    pr,
    team,
    weights,
    work_out,
)


@pytest.mark.parametrize(
    ("zone", "merged", "week"),
    [
        ("UTC", "2020-12-31T23:59:59", "2020-12-28"),
        ("UTC", "2021-01-03T23:59:59", "2020-12-28"),
        ("UTC", "2021-01-04", "2021-01-04"),
        ("UTC", "2024-02-29T12", "2024-02-26"),
        ("Europe/Berlin", "2026-03-29T21:59:59", "2026-03-23"),
        ("Europe/Berlin", "2026-03-29T22", "2026-03-30"),
        ("Europe/Berlin", "2026-10-25T22:59:59", "2026-10-19"),
        ("Europe/Berlin", "2026-10-25T23", "2026-10-26"),
        ("America/New_York", "2026-01-12T04:59:59", "2026-01-05"),
    ],
)
def test_the_week_of_a_merge(zone: str, merged: str, week: str) -> None:
    core = team("core", ("ada", 1, "2020-01-01", None))
    records = [pr(1, "ada", "2020-12-01", merged)]
    marts = work_out(records, core, as_of="2026-12-01", reporting_timezone=zone)
    weeks = merged_by_period(marts.velocity)
    assert [name for name, merges in weeks.items() if merges] == [week]
    assert {(date.fromisoformat(name)).weekday() for name in weeks} == {0}


def test_a_leap_day_and_the_month_after_it() -> None:
    records = [
        pr(1, "ada", "2024-01-31T23", "2024-02-29T23"),
        pr(2, "ada", "2024-03-01", "2024-03-01T01"),
    ]
    marts = work_out(records, team("core", ("ada", 1, "2020-01-01", None)), as_of="2024-04-01")
    assert merged_by_period(marts.lead_time) == {
        "2024-01-01": 0,
        "2024-02-01": 1,
        "2024-03-01": 1,
        "2024-04-01": 0,
    }
    assert marts.pull_requests[REPOSITORY, 1]["cycle_time_hours"] == 29 * 24.0


@pytest.mark.parametrize(
    ("as_of", "complete"),
    [("2026-03-29T21:59:59", False), ("2026-03-29T22", True), ("2026-03-30", True)],
)
def test_a_week_with_a_clock_change_is_complete_at_its_local_end(
    as_of: str, complete: bool
) -> None:
    marts = work_out(
        [pr(1, "ada", "03-24", "03-25")], ADA, as_of=as_of, reporting_timezone="Europe/Berlin"
    )
    assert marts.velocity["core", date(2026, 3, 23)]["is_complete"] is complete


@pytest.mark.parametrize(
    ("covered_from", "complete"),
    [
        (None, ["2026-01-05", "2026-01-12"]),
        ("01-05", ["2026-01-05", "2026-01-12"]),
        ("01-05T00:00:01", ["2026-01-12"]),
        ("01-12T00:00:01", []),
    ],
)
def test_a_period_that_began_before_history_from_is_not_complete(
    covered_from: str | None, complete: list[str]
) -> None:
    marts = work_out(
        [pr(1, "ada", "01-05T12", "01-14")], ADA, covered_from=covered_from, as_of="01-19"
    )
    assert complete_periods(marts.velocity) == complete
    assert list(merged_by_period(marts.velocity))[-1] == "2026-01-19"


ROW_RANGES = {
    "still a member": ([("2026-01-06", None)], ["2026-01-05", "2026-01-12", "2026-01-19"]),
    "joined before the data": ([("2020-01-01", None)], ["2026-01-05", "2026-01-12", "2026-01-19"]),
    "left on a Monday": ([("2026-01-06", "2026-01-12")], ["2026-01-05"]),
    "left just after": ([("2026-01-06", "2026-01-12T00:00:01Z")], ["2026-01-05", "2026-01-12"]),
    "leaves at as_of": ([("2026-01-06", "2026-01-20")], ["2026-01-05", "2026-01-12", "2026-01-19"]),
    "leaves after as_of": ([("2026-01-13", "2026-03-01")], ["2026-01-12", "2026-01-19"]),
    "one left, one to come": (
        [("2026-01-06", "2026-01-08"), ("2026-02-01", None)],
        ["2026-01-05", "2026-01-12", "2026-01-19"],
    ),
    "joins at as_of": ([("2026-01-20", None)], ["2026-01-19"]),
    "joins after as_of": ([("2026-01-20T00:00:01Z", None)], []),
    "left before the data": ([("2020-01-01", "2020-02-01")], []),
    "nobody": ([], []),
}


@pytest.mark.parametrize(("windows", "weeks"), ROW_RANGES.values(), ids=ROW_RANGES)
def test_the_weeks_that_have_rows(windows: list[tuple[str, str | None]], weeks: list[str]) -> None:
    core = team("core", *(("ada", 1, *window) for window in windows))
    marts = work_out([pr(1, "eve", "01-05", "01-06")], core)
    assert merged_by_period(marts.velocity) == dict.fromkeys(weeks, 0)
    assert list(merged_by_period(marts.lead_time)) == (["2026-01-01"] if weeks else [])


@pytest.mark.parametrize(
    ("left_at", "last_week"),
    [("2026-01-19", "2026-01-12"), ("2026-01-19T00:00:01Z", "2026-01-19"), (None, "2026-01-19")],
)
def test_a_member_who_leaves_at_as_of_has_left(left_at: str | None, last_week: str) -> None:
    core = team("core", ("ada", 1, "2026-01-06", left_at))
    marts = work_out([pr(1, "eve", "01-05", "01-06")], core, as_of="01-19")
    assert list(merged_by_period(marts.velocity))[-1] == last_week


@pytest.mark.parametrize(
    ("as_of", "complete"), [("2026-11-01T03:59:59", False), ("2026-11-01T04", True)]
)
def test_a_month_ends_at_the_first_midnight_if_the_clock_shows_two(
    as_of: str, complete: bool
) -> None:
    marts = work_out(
        [pr(1, "ada", "10-05", "10-06")], ADA, as_of=as_of, reporting_timezone="America/Havana"
    )
    assert marts.lead_time["core", date(2026, 10, 1)]["is_complete"] is complete


def test_a_merge_after_as_of_extends_the_rows_unless_nobody_had_joined_the_team() -> None:
    records = [pr(1, "ada", "01-05", "02-03"), pr(2, "bob", "01-05", "02-03")]
    late = team("late", ("bob", 1, "2026-01-21", None))
    marts = work_out(records, ADA, late)
    assert list(merged_by_period(marts.velocity).items())[-1] == ("2026-02-02", 1)
    assert complete_periods(marts.velocity) == ["2026-01-05", "2026-01-12"]
    assert merged_by_period(marts.lead_time) == {"2026-01-01": 0, "2026-02-01": 1}
    assert merged_by_period(marts.velocity, "late") == {}
    assert weights(marts, 2) == {"late": "1.00"}


def test_the_first_period_counts_all_of_its_merges_and_those_before_have_no_row() -> None:
    records = [
        pr(1, "ada", "01-02", "01-03"),
        pr(2, "ada", "01-05T10", "01-05T11"),
        pr(3, "ada", "01-07T12", "01-08"),
    ]
    marts = work_out(records, ADA, covered_from="01-07")
    assert merged_by_period(marts.velocity) == {"2026-01-05": 2, "2026-01-12": 0, "2026-01-19": 0}
    assert merged_by_period(marts.lead_time) == {"2026-01-01": 3}


def test_without_as_of_there_are_facts_but_no_rollup_rows() -> None:
    marts = work_out(EXAMPLES, CORE, WEB, as_of=None)
    assert marts.build == Build(None, None, None)
    assert (marts.velocity, marts.lead_time) == ({}, {})
    assert (len(marts.pull_requests), len(marts.team_pull_requests)) == (3, 4)


def test_coverage_over_repositories() -> None:
    records = [
        pr(1, "eve", "01-03", "01-04", repository="a/WHOLE"),
        pr(2, "ada", "01-02", "01-03", repository="a/gone"),
        pr(3, "eve", "01-01", "01-02", repository="a/whole", vanished=True),
    ]
    coverage = {
        "A/Whole": Coverage(None, at("01-20")),
        "a/walking": Coverage(at("01-10"), at("01-19")),
        "a/since": Coverage(at("01-08"), at("01-21")),
        "a/empty": Coverage(None, at("01-22")),
        "a/new": Coverage(at("01-01"), None),
        "a/gone": Coverage(at("01-15"), at("01-16"), counted=False),
    }
    marts = reference(records, [ADA], coverage)
    assert marts.build == Build(
        as_of=datetime(2026, 1, 19, tzinfo=UTC),
        data_from=datetime(2026, 1, 3, tzinfo=UTC),
        history_from=datetime(2026, 1, 10, tzinfo=UTC),
    )
    assert list(marts.pull_requests) == [("a/gone", 2)]
    assert merged_by_period(marts.velocity)["2025-12-29"] == 1
