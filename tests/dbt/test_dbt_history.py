"""An edit of the configuration also applies to the past; snapshots keep the former state."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from dbt_support import EXAMPLE, Row, Warehouse, membership

from dora.database import Database
from dora.roles import INGEST, TRANSFORM

WEEK_2, WEEK_3 = date(2026, 1, 5), date(2026, 1, 12)
FIRST: dict[str, list[Row]] = {
    "teams": EXAMPLE["teams"],
    "team_memberships": [
        *EXAMPLE["team_memberships"],
        membership("core", "dan", "0.0", "2026-01-01T00:00Z"),
    ],
}
# Corrected: Ada moved to `core` on 8 January, at less than 1. Cleo, not Bob, was in `web`. `web`
# has another name and another spelling of Ada, and `core` has another description.
SECOND: dict[str, list[Row]] = {
    "teams": [
        EXAMPLE["teams"][0] | {"description": "The core"},
        {"team_id": "web", "name": "Website"},
    ],
    "team_memberships": [
        membership("core", "ada", "0.5", "2026-01-01T00:00Z", "2026-01-08T00:00Z"),
        membership("core", "ada", "0.8", "2026-01-08T00:00Z"),
        membership("core", "dan", "0.1", "2026-01-01T00:00Z"),
        membership("web", "Ada", "0.5", "2026-01-01T00:00Z", "2026-01-12T00:00Z"),
        membership("web", "cleo", "1.0", "2026-01-01T00:00Z"),
    ],
}
WINDOWS = """
    select team_id, github_username, allocation_weight, joined_at, left_at,
        dbt_valid_from, dbt_valid_to
    from snapshots.snap_team_memberships
    order by team_id, login_key, joined_at, dbt_valid_from
"""
NAMES = """
    select team_id, team_name, description, dbt_valid_from, dbt_valid_to
    from snapshots.snap_teams
    order by team_id, dbt_valid_from
"""


def configure(warehouse: Warehouse, configuration: dict[str, list[Row]]) -> None:
    """Replace the configuration, as an ingest does."""
    with warehouse.database.connect(INGEST) as connection:
        connection.execute("truncate raw.teams, raw.team_memberships")
    warehouse.insert(**configuration)


def build(warehouse: Warehouse) -> datetime:
    """Build; return its time from the marts."""
    warehouse.build()
    (row,) = warehouse.rows("select built_at from marts.dim_build")
    built_at: datetime = row["built_at"]
    return built_at


def kept(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect(TRANSFORM) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def builds(warehouse: Warehouse) -> list[tuple[datetime, dict[str, Any]]]:
    """Time and figures of three builds, with the first, the second and the first configuration."""
    warehouse.insert(repositories=EXAMPLE["repositories"], pull_requests=EXAMPLE["pull_requests"])
    done = []
    for configuration in (FIRST, SECOND, FIRST):
        configure(warehouse, configuration)
        built_at = build(warehouse)
        figures = {team: warehouse.velocity(team) for team in ("core", "web")}
        done.append((built_at, figures))
    return done


def weights(figures: dict[str, Any], team: str) -> list[Decimal]:
    return [figures[team][week]["weighted_prs_merged"] for week in (WEEK_2, WEEK_3)]


def test_edit_of_windows_changes_past_figures(
    builds: list[tuple[datetime, dict[str, Any]]],
) -> None:
    """All merges are older than the builds, and are counted by each build's windows."""
    first, second, again = (figures for _, figures in builds)
    assert (weights(first, "core"), weights(first, "web")) == (
        [Decimal("0.5"), 1],
        [Decimal("1.5"), 0],
    )
    assert weights(second, "core") == [Decimal("0.5"), Decimal("0.8")]
    assert weights(second, "web") == [Decimal("0.5"), 0]
    assert again == first


def test_snapshots_keep_each_configuration_with_its_span_of_builds(
    builds: list[tuple[datetime, dict[str, Any]]], warehouse: Warehouse
) -> None:
    one, two, three = (built_at for built_at, _ in builds)
    day = {number: datetime.fromisoformat(f"2026-01-{number:02}T00:00Z") for number in (1, 8, 12)}
    half, most, whole = Decimal("0.50"), Decimal("0.80"), Decimal("1.00")
    assert kept(warehouse.database, WINDOWS) == [
        ("core", "ada", half, day[1], day[12], one, two),
        ("core", "ada", half, day[1], day[8], two, three),
        ("core", "ada", half, day[1], day[12], three, None),
        ("core", "ada", most, day[8], None, two, three),
        ("core", "ada", whole, day[12], None, one, two),
        ("core", "ada", whole, day[12], None, three, None),
        ("core", "dan", Decimal(0), day[1], None, one, two),
        ("core", "dan", Decimal("0.1"), day[1], None, two, three),
        ("core", "dan", Decimal(0), day[1], None, three, None),
        ("web", "ada", half, day[1], day[12], one, two),
        ("web", "Ada", half, day[1], day[12], two, three),
        ("web", "ada", half, day[1], day[12], three, None),
        ("web", "bob", whole, day[1], None, one, two),
        ("web", "bob", whole, day[1], None, three, None),
        ("web", "cleo", whole, day[1], None, two, three),
    ]
    assert kept(warehouse.database, NAMES) == [
        ("core", "Core", "Shared services", one, two),
        ("core", "Core", "The core", two, three),
        ("core", "Core", "Shared services", three, None),
        ("web", "Web", None, one, two),
        ("web", "Website", None, two, three),
        ("web", "Web", None, three, None),
    ]


def test_full_refresh_keeps_the_snapshots(
    builds: list[tuple[datetime, dict[str, Any]]], warehouse: Warehouse
) -> None:
    before = kept(warehouse.database, WINDOWS)
    warehouse.build("--full-refresh", "--select", "snap_team_memberships", "snap_teams")
    assert kept(warehouse.database, WINDOWS) == before
