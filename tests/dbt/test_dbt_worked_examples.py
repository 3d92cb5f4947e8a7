"""The worked example of docs/metrics.md, with every figure copied from that page."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from dbt_support import EXAMPLE, Warehouse

from api.app import create_app
from tests.api.api_support import Client, settings_for

JANUARY = date(2026, 1, 1)
WEEK_2, WEEK_3, WEEK_4 = date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 19)


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    """Built by a complete `dbt build`, including the unit tests."""
    warehouse.insert(**EXAMPLE)
    assert set(warehouse.dbt("build").values()) == {"success", "pass", "no-op"}
    return warehouse


def test_core_has_three_weeks(built: Warehouse) -> None:
    assert {
        week: (
            row["prs_merged"],
            row["weighted_prs_merged"],
            row["avg_cycle_time_hours"],
            row["is_complete"],
        )
        for week, row in built.velocity("core").items()
    } == {
        WEEK_2: (1, Decimal("0.5"), 24, True),
        WEEK_3: (1, Decimal("1.0"), 24, True),
        WEEK_4: (0, 0, None, False),
    }


def test_a_week_has_plain_and_weighted_cycle_times(built: Warehouse) -> None:
    week = built.velocity("web")[WEEK_2]
    assert week["prs_merged"] == 2
    assert week["weighted_prs_merged"] == Decimal("1.5")
    assert week["avg_cycle_time_hours"] == 17
    assert week["weighted_avg_cycle_time_hours"] == pytest.approx(14.6666666666667)
    assert week["contributors"] == 2


def test_a_month_has_both_kinds_of_percentile(built: Warehouse) -> None:
    assert list(built.lead_time("web")) == [JANUARY]
    month = built.lead_time("web")[JANUARY]
    assert month["prs_merged"] == 2
    assert month["median_lead_time_hours"] == 17
    assert month["p95_lead_time_hours"] == pytest.approx(23.3)
    assert month["weighted_median_lead_time_hours"] == 10
    assert month["weighted_p95_lead_time_hours"] == 24
    assert month["is_complete"] is False


def test_outsiders_are_in_no_mart(built: Warehouse) -> None:
    numbers = built.rows("select number from marts.fct_pull_requests order by number")
    assert [row["number"] for row in numbers] == [1, 2, 3]
    assert built.shares(4) == {}


def test_at_the_instant_of_a_change_the_new_window_applies(built: Warehouse) -> None:
    assert built.shares(1) == {"core": "0.50", "web": "0.50"}
    assert built.shares(3) == {"core": "1.00"}


def test_the_configuration_is_in_the_marts(built: Warehouse) -> None:
    assert built.rows("select * from marts.dim_teams order by team_id") == [
        {"team_id": "core", "team_name": "Core", "description": "Shared services"},
        {"team_id": "web", "team_name": "Web", "description": None},
    ]
    assert built.rows(
        """
        select team_id, github_username, allocation_weight, joined_at = '2026-01-01Z' as is_first,
            left_at = '2026-01-12Z' as is_over
        from marts.dim_team_memberships
        order by team_id, github_username, joined_at
        """
    ) == [
        dict(
            zip(
                ("team_id", "github_username", "allocation_weight", "is_first", "is_over"),
                row,
                strict=True,
            )
        )
        for row in (
            ("core", "ada", Decimal("0.5"), True, True),
            ("core", "ada", Decimal("1.0"), False, None),
            ("web", "ada", Decimal("0.5"), True, True),
            ("web", "bob", Decimal("1.0"), True, None),
        )
    ]


def test_the_build_has_its_coverage(built: Warehouse) -> None:
    (row,) = built.rows(
        """
        select
            as_of = '2026-01-20T00:00Z' and data_from = '2026-01-05T00:00Z' as is_covered,
            history_from, reporting_timezone, attribution_instant
        from marts.dim_build
        """
    )
    assert row == {
        "is_covered": True,
        "history_from": None,
        "reporting_timezone": "UTC",
        "attribution_instant": "merged_at",
    }


def test_the_marts_describe_themselves(built: Warehouse) -> None:
    """Every relation and column has a comment for BI tools."""
    assert (
        built.rows(
            """
            select pg_class.relname, pg_attribute.attname
            from pg_class
            inner join pg_attribute on pg_class.oid = pg_attribute.attrelid
            where
                pg_class.relnamespace = 'marts'::regnamespace
                and pg_class.relkind = 'r'
                and pg_attribute.attnum > 0
                and (
                    obj_description(pg_class.oid) is null
                    or col_description(pg_class.oid, pg_attribute.attnum) is null
                )
            """
        )
        == []
    )


def test_a_week_has_the_five_metrics_of_dora(built: Warehouse) -> None:
    """The merges of 5 and 6 January are each deployed an hour later."""
    (week,) = built.rows(
        "select * from marts.fct_team_delivery_weekly where team_id = 'web' and week = %s", [WEEK_2]
    )
    assert (week["deployments"], week["weighted_deployments"]) == (2, 1.5)
    assert week["deployment_days"] == 2
    assert week["median_change_lead_time_hours"] == (11 + 25) / 2
    assert week["median_deploy_hours"] == 1
    stages = [week[f"avg_{n}_hours"] for n in ("coding", "draft", "pickup", "review", "deploy")]
    assert stages == [0, 0, 17, 0, 1]
    assert sum(stages) == (11 + 25) / 2
    assert (week["change_fail_rate"], week["median_recovery_hours"]) == (0, None)
    assert (week["is_complete"], week["is_settled"]) == (True, True)
    assert built.pull_request(3)["not_deployed_reason"] == "not_deployed"


@pytest.fixture(scope="module")
def document(built: Warehouse) -> Iterator[tuple[Client, dict[str, Any]]]:
    """The API on the worked example, and the paths of its OpenAPI document."""
    app = create_app(settings_for(built.database.url))
    client = Client(app)
    yield client, client.get("/openapi.json").json()["paths"]
    app.state.marts.close()


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/teams",
        "/metrics/team/{team_id}/velocity",
        "/metrics/team/{team_id}/lead-time",
        "/metrics/team/{team_id}/delivery",
        "/metrics/team/{team_id}/deployments",
        "/metrics/team/{team_id}/pull-requests",
        "/metrics/team/{team_id}/reviews",
        "/metrics/compare",
    ],
)
def test_api_examples_equal_its_answers(document: tuple[Client, dict[str, Any]], path: str) -> None:
    client, paths = document
    operation = paths[path]["get"]
    given = {
        one["name"]: one["example"] for one in operation.get("parameters", []) if "example" in one
    }
    address = path.format(**given)
    query = {name: value for name, value in given.items() if f"{{{name}}}" not in path}
    forms = operation["responses"]["200"]["content"]
    assert set(forms) >= {"application/json"}
    for media_type, form in forms.items():
        answer = client.get(address, params=query, headers={"Accept": media_type})
        is_text = media_type == "text/csv"
        assert (answer.text if is_text else answer.json()) == form["example"]
