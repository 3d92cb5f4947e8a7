"""The bundle in a real Superset: what its charts get is what the marts hold.

Marked `long`, and skipped without `SUPERSET`, the path of the `superset` program; see docs/bi.md.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, sync_playwright
from psycopg import sql
from psycopg.rows import dict_row
from superset_bundle import CHARTS, DASHBOARDS, DATASETS
from superset_server import Superset, pack, superset

from dora.database import Database

pytestmark = pytest.mark.long
PROGRAM = os.environ.get("SUPERSET", "")
DASHBOARD = {one["slug"]: one for one in DASHBOARDS.values()}
CHART = {one["slice_name"]: one for one in CHARTS.values()}
LINES = [name for name, one in CHART.items() if one["viz_type"] == "echarts_timeseries_line"]
OF_TEAMS = [name for name in LINES if CHART[name]["params"]["groupby"]]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def reader(demo: Database) -> Iterator[str]:
    """The address of the demo's marts with a login whose day begins before UTC's."""
    name, password = f"superset_{secrets.token_hex(4)}", secrets.token_hex()
    role = sql.Identifier(name)
    statements = (
        sql.SQL("create role {} login password {} in role dora_reader").format(role, password),
        sql.SQL("alter role {} set timezone = 'Pacific/Auckland'").format(role),
    )
    with psycopg.connect(demo.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
        parts = urlsplit(demo.url)
        address = f"{name}:{password}@{parts.hostname}:{parts.port}{parts.path}"
        yield f"postgresql+psycopg2://{address}"
        connection.execute(sql.SQL("drop role {}").format(role))


@pytest.fixture(scope="module")
def site(reader: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    if not PROGRAM:
        pytest.skip("set SUPERSET to the path of the `superset` program")
    with superset(PROGRAM, reader, tmp_path_factory.mktemp("superset")) as site:
        yield site


@pytest.fixture(scope="module")
def browser(site: Superset) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def answers(site: Superset, browser: Browser) -> dict[str, Any]:
    """The API's answers to the charts of all dashboards, without filters of the viewer."""
    found: dict[str, Any] = {}
    for dashboard in DASHBOARD.values():
        found |= site.answers(browser, dashboard)
    return found


def rows_of(demo: Database, query: str) -> list[Row]:
    with demo.connect("dora_reader", row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def day(milliseconds: float) -> date:
    instant = datetime.fromtimestamp(milliseconds / 1000, UTC)
    assert (instant.hour, instant.minute) == (0, 0)
    return instant.date()


@pytest.mark.parametrize("name", OF_TEAMS)
def test_lines_of_teams_are_the_rows_of_the_mart(
    name: str, answers: dict[str, Any], demo: Database
) -> None:
    params = CHART[name]["params"]
    period, metric, condition = params["x_axis"], params["metrics"][0], params["adhoc_filters"][1]
    mart = DATASETS[CHART[name]["dataset_uuid"]]["table_name"]
    rows = rows_of(demo, f"select * from marts.fct_{mart} join marts.dim_teams using (team_id)")
    expected = {
        (row[period], row["team_name"]): float(row[metric])
        for row in rows
        if row[condition["sqlExpression"]] and row[metric] is not None
    }
    found = {
        (day(row[period]), team): value
        for row in answers[name]["data"]
        for team, value in row.items()
        if team != period and value is not None
    }
    assert found == pytest.approx(expected)
    assert len(expected) > 10


def test_line_of_all_teams_counts_each_pull_request_once(
    answers: dict[str, Any], demo: Database
) -> None:
    rows = rows_of(
        demo,
        """
        select month, percentile_cont(0.5) within group (order by cycle_time_hours) as median
        from (
            select distinct pull_request_id, month, cycle_time_hours
            from marts.fct_team_pull_requests
            inner join marts.fct_pull_requests using (pull_request_id)
            where month is not null and team_id <> 'unassigned'
        ) as merged
        group by month
        """,
    )
    found = answers["All teams: lead time by month (hours)"]["data"]
    assert {day(row["month"]): row["median_lead_time_hours"] for row in found} == pytest.approx(
        {row["month"]: row["median"] for row in rows}
    )


@pytest.mark.parametrize(
    ("name", "mart"),
    [
        ("Lead time and its phases by month", "fct_team_lead_time_monthly"),
        ("Delivery by month", "fct_team_delivery_monthly"),
    ],
)
def test_tables_are_the_rows_of_the_mart(
    name: str, mart: str, answers: dict[str, Any], demo: Database
) -> None:
    columns = CHART[name]["params"]["all_columns"]
    rows = rows_of(
        demo,
        f"select {', '.join(columns)} from marts.{mart} join marts.dim_teams using (team_id)"
        " order by month desc, team_name",
    )
    found = [row | {"month": day(row["month"])} for row in answers[name]["data"]]
    assert len(found) == len(rows) > 100
    for row, expected in zip(found, rows, strict=True):
        assert row == pytest.approx(expected)


def test_deployments_are_those_of_the_teams(answers: dict[str, Any], demo: Database) -> None:
    rows = rows_of(
        demo,
        """
        select team_name, extract(epoch from deployed_at)::bigint * 1000 as deployed_at, share,
            kind, url
        from marts.fct_team_deployments
        inner join marts.fct_deployments using (deployment_id)
        inner join marts.dim_teams using (team_id)
        """,
    )
    found = answers["Deployments"]["data"]
    assert sorted(tuple(row[one] for one in rows[0]) for row in found) == sorted(
        tuple(row.values()) for row in rows
    )


def chosen(**values: str) -> str:
    """The part of a dashboard's address that sets its filters."""
    filters = [
        f"NATIVE_FILTER-{column}:(id:NATIVE_FILTER-{column},ownState:(),"
        f"filterState:(label:'{value}',value:!('{value}')),"
        f"extraFormData:(filters:!((col:{column},op:IN,val:!('{value}')))))"
        for column, value in values.items()
    ]
    return f"?native_filters=({','.join(filters)})"


def test_pull_requests_behind_a_month_give_its_figures(
    site: Superset, browser: Browser, demo: Database
) -> None:
    (month,) = rows_of(
        demo,
        "select * from marts.fct_team_lead_time_monthly"
        " where team_id = 'payments' and month = '2026-05-01'",
    )
    address = chosen(team_name="Payments", merged_in_month="2026-05")
    found = site.answers(browser, DASHBOARD["dora-pull-requests"], address)
    (count,) = found["Pull requests merged"]["data"]
    assert count == {"prs_merged": month["prs_merged"]}
    (middle,) = found["Median lead time (hours)"]["data"]
    assert middle == pytest.approx({"median_lead_time_hours": month["median_lead_time_hours"]})
    rows = found["Pull requests, longest first"]["data"]
    hours = [row["cycle_time_hours"] for row in rows]
    assert len(rows) == month["prs_merged"] > 3
    assert hours == sorted(hours, reverse=True)


def test_pull_requests_are_those_of_one_team_from_the_start(
    answers: dict[str, Any], demo: Database
) -> None:
    (first,) = rows_of(
        demo,
        """
        select count(*) as prs_merged
        from marts.fct_team_pull_requests
        inner join marts.dim_teams using (team_id)
        where merged_at is not null and team_name = (select min(team_name) from marts.dim_teams)
        """,
    )
    assert answers["Pull requests merged"]["data"] == [first]


def test_import_of_assets_also_replaces_datasets(
    site: Superset, reader: str, tmp_path: Path
) -> None:
    changes = {
        "metadata.yaml": {"type": "Dashboard"},
        "databases/dora_metrics.yaml": {"sqlalchemy_uri": reader},
        "datasets/dora_metrics/build.yaml": {"description": "changed"},
    }
    (tmp_path / "dashboards").mkdir()
    dashboards = pack(tmp_path / "dashboards", changes).read_bytes()
    (tmp_path / "assets").mkdir()
    changes["metadata.yaml"] = {"type": "assets"}
    assets = pack(tmp_path / "assets", changes).read_bytes()
    with site.session() as client:

        def description() -> str:
            found = client.get("/api/v1/dataset/", params={"q": "(page_size:100)"}).json()
            (build,) = (one for one in found["result"] if one["table_name"] == "build")
            return str(client.get(f"/api/v1/dataset/{build['id']}").json()["result"]["description"])

        client.post(
            "/api/v1/dashboard/import/",
            data={"overwrite": "true"},
            files={"formData": ("dora-metrics.zip", dashboards)},
        ).raise_for_status()
        assert description() != "changed"
        client.post(
            "/api/v1/assets/import/", files={"bundle": ("dora-metrics.zip", assets)}
        ).raise_for_status()
        assert description() == "changed"
