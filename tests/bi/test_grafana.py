"""The Grafana dashboard of docs/bi: its form, and its queries on the demo's marts."""

import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from psycopg import Connection
from psycopg.rows import dict_row

from dora.database import Database

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "docs" / "bi" / "grafana.json").read_text("utf-8"))
QUERIES = {
    panel["title"]: target["rawSql"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
}
VELOCITY, LEAD_TIME = "fct_team_velocity_weekly", "fct_team_lead_time_monthly"
WEEKS, MONTHS = "fct_team_delivery_weekly", "fct_team_delivery_monthly"
# The mart, period, column and condition of the rows that each panel shows as they are.
SERIES = {
    "Weighted pull requests merged by week": (VELOCITY, "weighted_prs_merged"),
    "Weighted average cycle time by week": (VELOCITY, "weighted_avg_cycle_time_hours"),
    "Pull requests merged by week": (VELOCITY, "prs_merged"),
    "Contributors by week": (VELOCITY, "contributors"),
    "Median lead time by month": (LEAD_TIME, "median_lead_time_hours"),
    "95th percentile of lead time by month": (LEAD_TIME, "p95_lead_time_hours"),
    "Deployments by week": (WEEKS, "deployments"),
    "Median change lead time by month": (MONTHS, "median_change_lead_time_hours"),
    "Change fail rate by month": (MONTHS, "change_fail_rate"),
    "Median recovery time by month": (MONTHS, "median_recovery_hours"),
    "Deployment rework rate by month": (MONTHS, "deployment_rework_rate"),
    "Changes deployed by month": (MONTHS, "changes_deployed"),
}
OTHERS = {"Data as of", "Merged pull requests, longest first"}
ALWAYS = ("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
TEAMS = ["payments", "mobile"]


@pytest.fixture(params=["UTC", "Pacific/Auckland"])
def reader(request: pytest.FixtureRequest, demo: Database) -> Any:
    """A session of `dora_reader`, also in a time zone in which the day begins before UTC's."""
    with demo.connect("dora_reader", row_factory=dict_row) as connection:
        connection.execute("select set_config('timezone', %s, false)", [request.param])
        yield connection


def expand(sql: str, teams: list[str], between: tuple[str, str] = ALWAYS) -> str:
    """Replace variable and macro as Grafana's PostgreSQL data source does."""
    start, end = between
    sql = re.sub(r"\$__timeFilter\(([\w.]+)\)", rf"\1 BETWEEN '{start}' AND '{end}'", sql)
    return sql.replace("${team:sqlstring}", ",".join(f"'{team}'" for team in teams))


def run(connection: Connection[Any], sql: str) -> list[dict[str, Any]]:
    assert "$" not in sql
    return connection.execute(sql.encode()).fetchall()


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """The parts of a JSON value that are missing or different in another one."""
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = [(f"{path}.{key}", value, after.get(key)) for key, value in before.items()]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(f"{path}[{n}]", *pair) for n, pair in enumerate(zip(before, after, strict=True))]
    else:
        return [] if before == after else [path]
    return [found for place, one, other in pairs for found in lost(one, other, place)]


def test_dashboard_has_only_what_grafanas_types_know() -> None:
    """Reading a dashboard drops the keys that its types do not have."""
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert lost(DASHBOARD, read) == []
    misspelt = DASHBOARD | {"timezon": "utc"}
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(misspelt)))
    assert lost(misspelt, read) == [".timezon"]


def test_every_panel_with_a_query_is_compared_with_a_mart() -> None:
    assert QUERIES.keys() == SERIES.keys() | OTHERS


@pytest.mark.parametrize("title", SERIES)
def test_panel_shows_the_rows_of_its_mart(title: str, reader: Connection[Any]) -> None:
    mart, column = SERIES[title]
    period = "week" if mart.endswith("weekly") else "month"
    condition = "is_settled" if column == "change_fail_rate" else "is_complete"
    names = dict((row["team_id"], row["team_name"]) for row in run(reader, "table marts.dim_teams"))
    expected = [
        {"time": midnight(row[period]), "metric": names[row["team_id"]], "value": row[column]}
        for row in run(reader, f"table marts.{mart}")
        if row["team_id"] in TEAMS and row[condition]
    ]
    found = run(reader, expand(QUERIES[title], TEAMS))
    assert found == sorted(expected, key=lambda row: (row["time"], row["metric"]))
    assert {row["metric"] for row in found if row["value"] is not None} == {
        names[team] for team in TEAMS
    }


def test_time_range_includes_the_week_that_begins_on_its_first_day(
    reader: Connection[Any],
) -> None:
    query = QUERIES["Pull requests merged by week"]
    weeks = sorted({row["time"] for row in run(reader, expand(query, TEAMS))})
    between = (f"{weeks[-3]:%Y-%m-%d}T00:00:00Z", f"{weeks[-2]:%Y-%m-%d}T23:59:59.999Z")
    assert {row["time"] for row in run(reader, expand(query, TEAMS, between))} == {*weeks[-3:-1]}


def test_pull_requests_are_those_that_the_weeks_count(reader: Connection[Any]) -> None:
    (week,) = run(
        reader,
        "select * from marts.fct_team_velocity_weekly where team_id = 'payments' and is_complete"
        " and prs_merged > 3 order by week desc limit 1",
    )
    between = (f"{week['week']}T00:00:00Z", f"{week['week']}T23:59:59Z")
    rows = run(
        reader, expand(QUERIES["Merged pull requests, longest first"], ["payments"], between)
    )
    hours = [row["cycle_time_hours"] for row in rows]
    assert len(rows) == week["prs_merged"]
    assert sum(row["weight"] for row in rows) == week["weighted_prs_merged"]
    assert sum(hours) / len(hours) == pytest.approx(week["avg_cycle_time_hours"])
    assert hours == sorted(hours, reverse=True)


def test_team_variable_lists_every_team(reader: Connection[Any]) -> None:
    (team,) = (one for one in DASHBOARD["templating"]["list"] if one["name"] == "team")
    teams = run(reader, "select team_id, team_name from marts.dim_teams order by team_name")
    assert [(row["__value"], row["__text"]) for row in run(reader, team["query"])] == [
        (row["team_id"], row["team_name"]) for row in teams
    ]


def test_as_of_is_that_of_the_build(reader: Connection[Any]) -> None:
    assert run(reader, QUERIES["Data as of"]) == run(reader, "select as_of from marts.dim_build")
