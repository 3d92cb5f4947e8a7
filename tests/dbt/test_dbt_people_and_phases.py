"""Cleo, Dan and the phases from below the worked example of docs/metrics.md, figures copied."""

from datetime import date
from decimal import Decimal

import pytest
from dbt_support import EXAMPLE, Warehouse, draft_events, membership, pull_request, review

JANUARY, WEEK = date(2026, 1, 1), date(2026, 1, 5)


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    warehouse.insert(**EXAMPLE)
    warehouse.insert(
        team_memberships=[
            membership("core", "Cleo", "0.4", "2026-01-07T00:00Z"),
            membership("web", "dan-before", "0.00", "2026-01-01T00:00Z"),
        ],
        user_logins=[{"user_id": "U_dan", "login": "Dan-Before"}],
        pull_requests=[
            pull_request(
                5,
                "bob",
                "2026-01-05T08:00Z",
                "2026-01-05T18:00Z",
                first_commit_at="2026-01-04T20:00Z",
                repository="acme/shop-before",
            ),
            pull_request(
                6,
                "bob",
                "2026-01-06T09:00Z",
                "2026-01-06T15:00Z",
                first_commit_at="2026-01-06T10:00Z",
            ),
            pull_request(7, "cleo", "2026-01-05T10:00Z", "2026-01-05T12:00Z"),
            pull_request(8, "cleo", "2026-01-08T10:00Z", "2026-01-08T12:00Z"),
            pull_request(9, "dan", "2026-01-08T00:00Z", "2026-01-10T00:00Z"),
            pull_request(
                10,
                "bob",
                "2026-01-05T00:00Z",
                "2026-01-06T00:00Z",
                vanished_at="2026-01-10T00:00Z",
            ),
            pull_request(11, None, "2026-01-05T00:00Z", "2026-01-06T00:00Z"),
        ],
        pull_request_reviews=[
            review(5, "bob", "2026-01-05T08:30Z"),
            review(5, "linter[bot]", "2026-01-05T09:00Z", author_type="Bot"),
            review(5, "ada", "2026-01-05T10:00Z"),
            review(5, "linter[bot]", "2026-01-05T12:05Z", author_type="Bot"),
        ],
        pull_request_draft_events=[
            *draft_events(5, ("ready_for_review", "2026-01-05T12:00Z")),
            *draft_events(
                6,
                ("convert_to_draft", "2026-01-06T11:00Z"),
                ("ready_for_review", "2026-01-06T13:00Z"),
            ),
        ],
    )
    warehouse.build()
    return warehouse


def test_before_a_window_the_work_is_unassigned(built: Warehouse) -> None:
    assert built.shares(7) == {"unassigned": "1.00"}
    assert built.shares(8) == {"core": "0.40", "unassigned": "0.60"}


def test_unassigned_work_is_in_no_rollup(built: Warehouse) -> None:
    """The week of core contains PR 1 at 0.5 and PR 8 at 0.4."""
    week = built.velocity("core")[WEEK]
    assert (week["prs_merged"], week["weighted_prs_merged"]) == (2, Decimal("0.9"))
    assert built.velocity("unassigned") == {}
    teams = built.rows("select team_id from marts.dim_teams order by team_id")
    assert [row["team_id"] for row in teams] == ["core", "web"]


def test_a_reviewers_team_gets_nothing(built: Warehouse) -> None:
    """Bob opened PR 5; Ada, who is also in `core`, reviewed it."""
    assert built.shares(5) == {"web": "1.00"}


def test_weight_zero_counts_only_in_unweighted_figures(built: Warehouse) -> None:
    """The week of web: 24 h at 0.5, Bob's 10, 10 and 6 h at 1, and Dan's 48 h at 0."""
    week = built.velocity("web")[WEEK]
    assert (week["prs_merged"], week["weighted_prs_merged"]) == (5, Decimal("3.5"))
    assert week["contributors"] == 3
    month = built.lead_time("web")[JANUARY]
    assert month["p95_lead_time_hours"] == pytest.approx(24 + 0.8 * 24)
    assert month["weighted_median_lead_time_hours"] == 10
    assert month["weighted_p95_lead_time_hours"] == 24


def test_a_former_login_holds_for_the_renamed_person(built: Warehouse) -> None:
    assert built.shares(9) == {"web": "0.00", "unassigned": "1.00"}


@pytest.mark.parametrize("number", [10, 11], ids=["vanished", "of a deleted author"])
def test_vanished_pull_requests_and_deleted_authors_are_in_no_mart(
    built: Warehouse, number: int
) -> None:
    assert built.rows("select * from marts.fct_pull_requests where number = %s", [number]) == []
    assert built.shares(number) == {}


def test_a_renamed_repository_has_its_current_name(built: Warehouse) -> None:
    assert built.pull_request(5)["repository"] == "acme/shop"


@pytest.mark.parametrize(
    ("number", "phases"),
    [(5, (12, 4, 0, 6, 22)), (6, (0, 2, 4, 0, 6))],
    ids=["reviewed while a draft", "never reviewed"],
)
def test_phases(built: Warehouse, number: int, phases: tuple[int, ...]) -> None:
    row = built.pull_request(number)
    names = ("coding", "draft", "pickup", "review", "total")
    assert tuple(row[f"{name}_hours"] for name in names) == phases
