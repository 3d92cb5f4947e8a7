"""Groups of teams, with every figure worked out by hand from the example of docs/metrics.md."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from dbt_support import EXAMPLE, Warehouse

from dora.roles import INGEST

JANUARY = date(2026, 1, 1)
WEEK_2, WEEK_3, WEEK_4 = date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 19)


def group(team_id: str, path: str, **more: Any) -> dict[str, Any]:
    return {
        "team_id": team_id,
        "group_id": path.replace("/", "."),
        "name": path,
        "parent_group_id": path.rpartition("/")[0] or "all",
    } | more


# Both teams are in `eng`, `web` until the 12th in `eng/product`, and `web` alone is in `solo`.
GROUPS = [
    group("core", "eng"),
    group("web", "eng"),
    group("web", "eng/product", left_at="2026-01-12T00:00Z"),
    group("web", "solo"),
]


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    """The worked example of docs/metrics.md, with groups."""
    warehouse.insert(**EXAMPLE, team_groups=GROUPS)
    warehouse.build()
    return warehouse


def weights(warehouse: Warehouse, number: int) -> dict[str, str]:
    query = "select group_id, weight from marts.fct_group_pull_requests where pull_request_id = %s"
    return {row["group_id"]: str(row["weight"]) for row in warehouse.rows(query, [f"PR_{number}"])}


def test_a_pull_request_counts_once_in_each_group_with_the_sum_of_its_weights(
    built: Warehouse,
) -> None:
    # Ada's PR 1 has half its weight in each team; she leaves web as PR 3 is merged.
    half = {"eng.product": "0.50", "solo": "0.50"}
    assert weights(built, 1) == {"all": "1.00", "eng": "1.00"} | half
    assert weights(built, 2) == dict.fromkeys(("all", "eng", "eng.product", "solo"), "1.00")
    assert weights(built, 3) == {"all": "1.00", "eng": "1.00"}
    assert weights(built, 4) == {}


@pytest.mark.parametrize("group_id", ["eng", "all"])
def test_a_group_has_the_weeks_of_its_teams_together(built: Warehouse, group_id: str) -> None:
    rows = built.rows(
        """
        select
            week, prs_merged, weighted_prs_merged, avg_cycle_time_hours,
            weighted_avg_cycle_time_hours, contributors, is_complete
        from marts.fct_group_velocity_weekly where group_id = %s order by week
        """,
        [group_id],
    )
    assert [tuple(row.values()) for row in rows] == [
        (WEEK_2, 2, Decimal("2.00"), 17, 17, 2, True),
        (WEEK_3, 1, Decimal("1.00"), 24, 24, 1, True),
        (WEEK_4, 0, 0, None, None, 0, False),
    ]


def test_percentiles_of_a_group_come_from_its_pull_requests(built: Warehouse) -> None:
    rows = built.rows(
        """
        select
            group_id, month, prs_merged, median_lead_time_hours, p95_lead_time_hours,
            weighted_median_lead_time_hours
        from marts.fct_group_lead_time_monthly order by group_id
        """
    )
    # 10, 24 and 24 hours. The teams' medians are 24 and 17.
    assert [tuple(row.values()) for row in rows[:2]] == [
        ("all", JANUARY, 3, 24, 24, 24),
        ("eng", JANUARY, 3, 24, 24, 24),
    ]


def test_a_group_counts_a_team_until_it_leaves(built: Warehouse) -> None:
    rows = built.rows(
        """
        select week, prs_merged, weighted_prs_merged
        from marts.fct_group_velocity_weekly where group_id = 'eng.product'
        """
    )
    assert [tuple(row.values()) for row in rows] == [(WEEK_2, 2, Decimal("1.50"))]


def test_a_group_of_one_team_has_the_figures_of_that_team(built: Warehouse) -> None:
    marts = ("velocity_weekly", "lead_time_monthly", "delivery_weekly", "delivery_monthly")
    for mart in (*marts, "pull_requests", "deployments"):
        rows = {}
        for kind, name in (("team", "web"), ("group", "solo")):
            query = f"select * from marts.fct_{kind}_{mart} as t where {kind}_id = '{name}'"
            found = built.rows(f"{query} order by t::text")  # type: ignore[arg-type]
            rows[kind] = [list(row.values())[1:] for row in found]
        assert rows["group"] == rows["team"] != []


def test_shares_of_a_group_are_those_of_its_weights(built: Warehouse) -> None:
    (row,) = built.rows(
        """
        select
            deployments, weighted_deployments, changes_deployed, weighted_changes_deployed,
            median_change_lead_time_hours
        from marts.fct_group_delivery_weekly where group_id = 'eng' and week = '2026-01-05'
        """
    )
    # PR 2 is deployed after 11 hours, PR 1 after 25.
    assert tuple(row.values()) == (2, 2, 2, Decimal("2.00"), 18)


def test_each_group_has_a_parent_and_its_teams(built: Warehouse) -> None:
    groups = built.rows("select * from marts.dim_groups order by group_id")
    assert [tuple(row.values()) for row in groups] == [
        ("all", "All teams", None),
        ("eng", "eng", "all"),
        ("eng.product", "eng/product", "eng"),
        ("solo", "solo", "all"),
    ]
    teams = built.rows("select * from marts.dim_group_teams order by group_id, team_id")
    # As of the 20th, web has left eng.product.
    assert [tuple(row.values()) for row in teams] == [
        ("all", "core", True),
        ("all", "web", True),
        ("eng", "core", True),
        ("eng", "web", True),
        ("eng.product", "web", False),
        ("solo", "web", True),
    ]


def test_a_changed_group_is_recomputed_and_teams_keep_their_rows(built: Warehouse) -> None:
    """Changes the marts: runs last."""
    before = built.rows("select * from marts.fct_team_velocity_weekly order by team_id, week")
    with built.database.connect(INGEST) as raw:
        raw.execute("delete from raw.team_groups where team_id = 'web'")
    built.build()
    assert weights(built, 1) == {"all": "1.00", "eng": "0.50"}
    assert weights(built, 2) == {"all": "1.00"}
    (row,) = built.rows(
        "select * from marts.fct_group_velocity_weekly where group_id = 'eng'"
        " and week = '2026-01-05'"
    )
    assert (row["prs_merged"], row["weighted_prs_merged"]) == (1, Decimal("0.50"))
    assert len(built.rows("select * from marts.dim_groups")) == 2
    after = built.rows("select * from marts.fct_team_velocity_weekly order by team_id, week")
    assert after == before
