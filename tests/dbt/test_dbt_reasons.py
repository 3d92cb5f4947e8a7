"""The pull requests behind a week's figures, and the reasons why others do not count."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dbt_support import EXAMPLE, Row, Warehouse, membership, pull_request, repository
from psycopg.rows import dict_row

from dora.roles import TRANSFORM

# The counted repository begins on 5 January; that of PR 3 is no longer configured.
MORE: dict[str, list[Row]] = {
    "repositories": [
        repository(covered_from="2026-01-05T00:00Z"),
        repository("acme/old", is_configured=False),
        repository("acme/gone", unreachable_since="2026-01-10T00:00Z"),
    ],
    "teams": [
        *EXAMPLE["teams"],
        {"team_id": "later", "name": "Later"},
        {"team_id": "robots", "name": "Robots"},
    ],
    "team_memberships": [
        *EXAMPLE["team_memberships"],
        membership("web", "cleo", "1.0", "2026-01-07T00:00Z", "2026-01-08T00:00Z"),
        membership("later", "dan", "1.0", "2026-01-21T00:00Z"),
        membership("web", "bob-old", "0.5", "2026-01-01T00:00Z"),
        membership("robots", "listed[bot]", "0.0", "2026-01-01T00:00Z"),
    ],
    "user_logins": [{"user_id": "U_bob", "login": "bob-old"}],
    "pull_requests": [
        *EXAMPLE["pull_requests"],
        pull_request(
            5, "ada", "2026-01-05T00:00Z", "2026-01-06T00:00Z", vanished_at="2026-01-07T00:00Z"
        ),
        pull_request(6, None, "2026-01-05T00:00Z", "2026-01-06T00:00Z"),
        pull_request(7, "stray", "2026-01-05T00:00Z", "2026-01-06T00:00Z", author_type="Bot"),
        pull_request(8, "listed", "2026-01-05T00:00Z", "2026-01-06T00:00Z", author_type="Bot"),
        pull_request(9, "cleo", "2026-01-07T00:00Z", "2026-01-08T00:00Z"),
        pull_request(10, "dan", "2026-01-05T00:00Z", "2026-01-06T00:00Z"),
        pull_request(11, "dan", "2026-01-20T00:00Z", "2026-01-22T00:00Z"),
        pull_request(12, "bob", "2026-01-01T00:00Z", "2026-01-01T01:00Z"),
        pull_request(
            13, "bob", "2026-01-05T00:00Z", "2026-01-06T00:00Z", repository_id="R_acme/old"
        ),
        pull_request(
            14, "bob", "2026-01-05T00:00Z", "2026-01-06T00:00Z", repository_id="R_acme/gone"
        ),
        pull_request(15, "eve", "2026-01-05T00:00Z"),
    ],
}
REASONS = {
    4: "author_never_tracked",
    5: "vanished",
    6: "author_deleted",
    7: "bot_not_listed",
    9: "outside_windows",
    10: "outside_windows",
    11: "team_not_begun",
}


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    warehouse.insert(**MORE)
    statuses = warehouse.dbt("build", "--exclude", "test_type:unit")
    doubtful = {name for name, status in statuses.items() if status == "warn"}
    assert doubtful == {"a_person_is_in_a_team_by_one_login"}
    assert set(statuses.values()) == {"success", "pass", "no-op", "warn"}
    return warehouse


def reasons(warehouse: Warehouse) -> dict[int, str]:
    with warehouse.database.connect(TRANSFORM) as connection:
        query = "select number, reason from intermediate.int_pull_requests_excluded"
        return dict(connection.execute(query).fetchall())


def test_every_merge_that_no_team_counts_has_a_reason(built: Warehouse) -> None:
    """PR 12 was merged before `data_from`, but in a month that has a row."""
    assert reasons(built) == REASONS
    numbers = "select number from marts.fct_pull_requests where merged_at is not null"
    counted = {row["number"] for row in built.rows(numbers)} - REASONS.keys()
    assert counted == {1, 2, 3, 8, 12, 13, 14}


def test_readers_of_the_marts_cannot_see_the_reasons(built: Warehouse) -> None:
    query = "select has_schema_privilege('dora_reader', 'intermediate', 'usage') as may"
    assert built.rows(query) == [{"may": False}]


def test_pull_requests_behind_a_week_are_listed(built: Warehouse) -> None:
    shown = behind(built, "{team_id: web, week: 2026-01-05}")
    assert [(row["number"], row["author"], row["weight"]) for row in shown] == [
        (1, "ada", Decimal("0.50")),
        (14, "bob", Decimal("1.00")),
        (13, "bob", Decimal("1.00")),
        (2, "bob", Decimal("1.00")),
    ]
    (week,) = (row for week, row in built.velocity("web").items() if str(week) == "2026-01-05")
    assert sum(row["weight"] for row in shown) == week["weighted_prs_merged"]
    assert (shown[0]["joined_at"], shown[0]["left_at"]) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 12, tzinfo=UTC),
    )


def test_without_a_team_and_a_week_everything_is_listed(built: Warehouse) -> None:
    merged = "select weight from marts.fct_team_pull_requests where merged_at is not null"
    teams = f"{merged} and team_id <> 'unassigned'"
    assert len(behind(built, "{}")) == len(built.rows(teams)) == 9
    assert built.dbt("show", "--select", "why_this_number", "--limit", "-1") == {
        "why_this_number": "success"
    }


def behind(warehouse: Warehouse, variables: str) -> list[dict[str, Any]]:
    """The rows of the analysis, compiled with these variables."""
    statuses = warehouse.dbt("compile", "--select", "why_this_number", "--vars", variables)
    assert statuses == {"why_this_number": "success"}
    place = Path("compiled", "dora_metrics", "analyses", "why_this_number.sql")
    query = (warehouse.target / place).read_text("utf-8")
    with warehouse.database.connect(TRANSFORM) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        return cursor.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def test_lost_merge_fails_the_data_test(built: Warehouse) -> None:
    guard = "every_merge_is_counted_or_excluded"
    built.execute(
        """
        delete from intermediate.int_team_periods_spanned
        where team_id = 'core' and period in ('2026-01-12', '2026-01-01')
        """
    )
    assert built.dbt("test", "--select", guard) == {guard: "fail"}
