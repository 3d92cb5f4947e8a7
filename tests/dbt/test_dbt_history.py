"""An edit of the configuration holds for the past too; what was believed before is kept."""

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
# Ada's move to `core` turns out to have been on 8 January and not whole; Bob was never in `web`,
# which is called otherwise, but Cleo; Ada is spelled otherwise there, `core` described otherwise.
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
    """Put a configuration in the place of the other, as an ingest does."""
    with warehouse.database.connect(INGEST) as connection:
        connection.execute("truncate raw.teams, raw.team_memberships")
    warehouse.insert(**configuration)


def build(warehouse: Warehouse) -> datetime:
    """Build; return when, as the marts say."""
    warehouse.build()
    (row,) = warehouse.rows("select built_at from marts.dim_build")
    built_at: datetime = row["built_at"]
    return built_at


def kept(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect(TRANSFORM) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def builds(warehouse: Warehouse) -> list[tuple[datetime, dict[str, Any]]]:
    """When each build was, and its figures: of the first configuration, the second, the first."""
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


def test_windows_decide_and_not_the_day_of_the_edit(
    builds: list[tuple[datetime, dict[str, Any]]],
) -> None:
    """All merges are of a time before any of the builds, and follow each build's windows."""
    first, second, again = (figures for _, figures in builds)
    assert (weights(first, "core"), weights(first, "web")) == (
        [Decimal("0.5"), 1],
        [Decimal("1.5"), 0],
    )
    assert weights(second, "core") == [Decimal("0.5"), Decimal("0.8")]
    assert weights(second, "web") == [Decimal("0.5"), 0]
    assert again == first


def test_what_was_believed_is_kept_by_the_builds_that_believed_it(
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
        ("core", "Core", "What all stand on", one, two),
        ("core", "Core", "The core", two, three),
        ("core", "Core", "What all stand on", three, None),
        ("web", "Web", None, one, two),
        ("web", "Website", None, two, three),
        ("web", "Web", None, three, None),
    ]


def test_a_full_refresh_keeps_what_was_believed(
    builds: list[tuple[datetime, dict[str, Any]]], warehouse: Warehouse
) -> None:
    before = kept(warehouse.database, WINDOWS)
    warehouse.build("--full-refresh", "--select", "snap_team_memberships", "snap_teams")
    assert kept(warehouse.database, WINDOWS) == before
