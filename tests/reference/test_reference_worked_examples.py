"""The reference computes the worked examples of docs/metrics.md."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.reference import Build, compare, keyed
from tests.reference.cases import (
    ADA,
    CORE,
    EXAMPLES,
    PR_5,
    PR_6,
    WEB,
    Row,
    fact,
    merged_by_period,
    phases,
    pr,
    team,
    weights,
    work_out,
)


def with_member(of: Row, *member: Any) -> Row:
    return of | {"members": of["members"] + team("", member)["members"]}


def velocity_row(name: str, week: str, *figures: Any) -> Row:
    columns = (
        "prs_merged",
        "weighted_prs_merged",
        "avg_cycle_time_hours",
        "weighted_avg_cycle_time_hours",
        "contributors",
        "is_complete",
    )
    row = {"team_id": name, "week": date.fromisoformat(week)}
    return row | dict(zip(columns, figures, strict=True))


def test_worked_example_has_exactly_these_velocity_rows() -> None:
    expected = [
        velocity_row("core", "2026-01-05", 1, Decimal("0.5"), 24.0, 24.0, 1, True),
        velocity_row("core", "2026-01-12", 1, Decimal("1.0"), 24.0, 24.0, 1, True),
        velocity_row("core", "2026-01-19", 0, Decimal(0), None, None, 0, False),
        velocity_row("web", "2026-01-05", 2, Decimal("1.5"), 17.0, 14.666666666666666, 2, True),
        velocity_row("web", "2026-01-12", 0, Decimal(0), None, None, 0, True),
        velocity_row("web", "2026-01-19", 0, Decimal(0), None, None, 0, False),
    ]
    marts = work_out(EXAMPLES, CORE, WEB)
    assert list(compare(keyed(expected, "team_id", "week"), marts.velocity)) == []
    assert marts.build == Build(
        as_of=datetime(2026, 1, 20, tzinfo=UTC),
        data_from=datetime(2026, 1, 5, tzinfo=UTC),
        history_from=None,
    )


def test_worked_example_has_exactly_these_lead_time_rows() -> None:
    columns = (
        "prs_merged",
        "median_lead_time_hours",
        "p95_lead_time_hours",
        "weighted_median_lead_time_hours",
        "weighted_p95_lead_time_hours",
        "median_coding_hours",
        "median_draft_hours",
        "median_pickup_hours",
        "median_review_hours",
        "is_complete",
    )
    figures = {
        "core": (2, 24.0, 24.0, 24.0, 24.0, 0.0, 0.0, 24.0, 0.0, False),
        "web": (2, 17.0, 23.3, 10.0, 24.0, 0.0, 0.0, 17.0, 0.0, False),
    }
    january = date(2026, 1, 1)
    expected = {
        (name, january): {"team_id": name, "month": january} | dict(zip(columns, row, strict=True))
        for name, row in figures.items()
    }
    assert list(compare(expected, work_out(EXAMPLES, CORE, WEB).lead_time)) == []


def test_worked_example_eve_is_in_no_mart() -> None:
    marts = work_out(EXAMPLES, CORE, WEB)
    assert [number for _, number in marts.pull_requests] == [1, 2, 3]
    assert [weights(marts, number) for number in (1, 2, 3, 4)] == [
        {"core": "0.50", "web": "0.50"},
        {"web": "1.00"},
        {"core": "1.00"},
        {},
    ]


def test_worked_example_cleo_is_unassigned_until_she_joins() -> None:
    cleo = [pr(7, "cleo", "01-05T08", "01-05T10"), pr(8, "cleo", "01-08T08", "01-08T10")]
    core = with_member(CORE, "Cleo", 0.4, "2026-01-07", None)
    marts = work_out(EXAMPLES + cleo, core, WEB)
    assert weights(marts, 7) == {"unassigned": "1.00"}
    assert weights(marts, 8) == {"core": "0.40", "unassigned": "0.60"}
    row = marts.velocity["core", date(2026, 1, 5)]
    assert (row["prs_merged"], row["weighted_prs_merged"]) == (2, Decimal("0.9"))
    assert row["weighted_avg_cycle_time_hours"] == pytest.approx((0.5 * 24 + 0.4 * 2) / 0.9)
    assert {name for name, _ in marts.velocity} == {"core", "web"}


def test_worked_example_dan_at_zero_counts_only_in_unweighted_figures() -> None:
    web = with_member(WEB, "Dan", 0.00, "2026-01-01", None)
    marts = work_out([*EXAMPLES, pr(9, "Dan", "01-06T00", "01-06T01")], CORE, web)
    week, month = marts.velocity["web", date(2026, 1, 5)], marts.lead_time["web", date(2026, 1, 1)]
    assert (week["prs_merged"], week["weighted_prs_merged"]) == (3, Decimal("1.5"))
    assert (week["contributors"], week["avg_cycle_time_hours"]) == (3, 35 / 3)
    assert week["weighted_avg_cycle_time_hours"] == pytest.approx(44 / 3)
    assert month["median_lead_time_hours"] == 10.0
    assert month["weighted_median_lead_time_hours"] == 10.0
    assert month["weighted_p95_lead_time_hours"] == 24.0
    assert weights(marts, 9) == {"web": "0.00", "unassigned": "1.00"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(PR_5, (12.0, 4.0, 0.0, 6.0, 22.0), id="PR 5"),
        pytest.param(PR_6, (0.0, 2.0, 4.0, 0.0, 6.0), id="PR 6"),
    ],
)
def test_worked_example_phases(record: Row, expected: tuple[float, ...]) -> None:
    assert phases(record) == expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", {"2026-01-05": 1, "2026-01-12": 0, "2026-01-19": 0}),
        ("Europe/Berlin", {"2026-01-05": 0, "2026-01-12": 1, "2026-01-19": 0}),
    ],
)
def test_worked_example_berlin_week(zone: str, expected: dict[str, int]) -> None:
    records = [pr(1, "ada", "01-11T22:30", "01-11T23:30")]
    marts = work_out(records, ADA, reporting_timezone=zone)
    assert merged_by_period(marts.velocity) == expected


def test_work_starts_at_the_first_commit_or_at_creation_if_that_is_earlier() -> None:
    assert fact(PR_5)["work_started_at"] == datetime(2026, 1, 4, 20, tzinfo=UTC)
    assert fact(PR_6)["work_started_at"] == datetime(2026, 1, 6, 9, tzinfo=UTC)
    assert fact(EXAMPLES[0])["work_started_at"] == datetime(2026, 1, 5, 9, tzinfo=UTC)
