"""The Superset bundle: its references, and its SQL on the demo's marts."""

from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest
from psycopg import Connection
from psycopg.rows import dict_row
from superset_bundle import BUNDLE, CHARTS, DASHBOARDS, DATABASES, DATASET, DATASETS, charts_of

from dora.database import Database

Row = dict[str, Any]
ROLLUPS = {
    "team_velocity_weekly": "week",
    "team_lead_time_monthly": "month",
    "team_delivery_weekly": "week",
    "team_delivery_monthly": "month",
}
# Metrics that cannot be combined: they are null over several rows.
NOT_COMBINED = ("median_", "p95_", "weighted_median_", "weighted_p95_", "contributors")
NOT_COMBINED += ("deployment_days",)


@pytest.fixture
def reader(demo: Database) -> Iterator[Connection[Row]]:
    """A session in a time zone in which the day begins before UTC's."""
    with demo.connect("dora_reader", row_factory=dict_row) as connection:
        connection.execute("set timezone = 'Pacific/Auckland'")
        yield connection


def run(connection: Connection[Row], sql: str) -> list[Row]:
    return connection.execute(sql.encode()).fetchall()


def ask(connection: Connection[Row], name: str, by: list[str]) -> dict[tuple[Any, ...], Row]:
    """All metrics of a dataset, grouped as Superset does, by the values of the columns `by`."""
    metrics = [f"{one['expression']} as {one['metric_name']}" for one in DATASET[name]["metrics"]]
    sql = f"select {', '.join(by + metrics)} from ({DATASET[name]['sql']}) as virtual_table"
    rows = run(connection, f"{sql} group by {', '.join(by)}" if by else sql)
    return {tuple(row.pop(column) for column in by): row for row in rows}


def test_references_between_the_files_exist() -> None:
    paths = [*BUNDLE.glob("*/**/*.yaml")]
    assert len(DATABASES | DATASETS | CHARTS | DASHBOARDS) == len(paths)
    assert {one["database_uuid"] for one in DATASETS.values()} == DATABASES.keys()
    assert {one["dataset_uuid"] for one in CHARTS.values()} == DATASETS.keys()
    placed = [charts_of(dashboard) for dashboard in DASHBOARDS.values()]
    assert {uuid for charts in placed for uuid in charts} == CHARTS.keys()
    for uuid, box in (pair for charts in placed for pair in charts.items()):
        assert box["sliceName"] == CHARTS[uuid]["slice_name"]


def test_filters_name_columns_of_datasets_and_charts_of_their_dashboard() -> None:
    for dashboard in DASHBOARDS.values():
        ids = {box["chartId"] for box in charts_of(dashboard).values()}
        filters = dashboard["metadata"]["native_filter_configuration"]
        assert filters
        for one in filters:
            assert set(one["scope"]["excluded"]) <= ids
            for target in filter(None, one["targets"]):
                columns = DATASETS[target["datasetUuid"]]["columns"]
                assert target["column"]["name"] in {column["column_name"] for column in columns}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=lambda chart: chart["slice_name"])
def test_chart_uses_columns_and_metrics_of_its_dataset(chart: Row) -> None:
    dataset, params = DATASETS[chart["dataset_uuid"]], chart["params"]
    columns = {one["column_name"] for one in dataset["columns"]}
    metrics = {one["metric_name"] for one in dataset["metrics"]}
    used = {*params.get("groupby", []), *params.get("all_columns", [])}
    used |= {params[key] for key in ("x_axis",) if key in params}
    used |= {one["subject"] for one in params["adhoc_filters"] if "subject" in one}
    used |= {one["sqlExpression"] for one in params["adhoc_filters"] if "sqlExpression" in one}
    assert used <= columns
    assert {*params.get("metrics", []), *filter(None, [params.get("metric")])} <= metrics
    assert chart["viz_type"] == params["viz_type"]


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda one: one["table_name"])
def test_dataset_lists_the_columns_of_its_query(dataset: Row, reader: Connection[Row]) -> None:
    found = reader.execute(f"{dataset['sql']} limit 0".encode()).description or []
    types = {
        row["oid"]: row["name"].upper()
        for row in run(reader, "select oid, format_type(oid, null) as name from pg_type")
    }
    assert [(one.name, types[one.type_code]) for one in found] == [
        (column["column_name"], column["type"]) for column in dataset["columns"]
    ]
    times = {one["column_name"] for one in dataset["columns"] if one.get("is_dttm")}
    assert times == {one["column_name"] for one in dataset["columns"] if "TIME" in one["type"]}
    assert dataset.get("main_dttm_col") in times | {None}


@pytest.mark.parametrize("name", ROLLUPS)
def test_metrics_by_team_and_period_are_the_figures_of_the_mart(
    name: str, reader: Connection[Row]
) -> None:
    period = ROLLUPS[name]
    mart = run(reader, f"select *, {period}::timestamp as start from marts.fct_{name}")
    found = ask(reader, name, ["team_id", period])
    assert len(found) == len(mart) > 10
    for row in mart:
        metrics = found[row["team_id"], row["start"]]
        assert metrics == pytest.approx({metric: row[metric] for metric in metrics})


@pytest.mark.parametrize("name", ROLLUPS)
def test_metrics_that_cannot_be_combined_are_null_over_several_teams(
    name: str, reader: Connection[Row]
) -> None:
    (metrics,) = ask(reader, name, []).values()
    nulls = {metric for metric, value in metrics.items() if value is None}
    assert nulls == {metric for metric in metrics if metric.startswith(NOT_COMBINED)}


def test_combined_averages_are_those_of_the_pull_requests(reader: Connection[Row]) -> None:
    """A merge before a team's first week, or in a team without rows, is in no rollup."""
    (expected,) = run(
        reader,
        """
        select
            count(*) as prs_merged,
            sum(weight) as weighted_prs_merged,
            avg(cycle_time_hours) as avg_cycle_time_hours,
            sum(weight * cycle_time_hours) / sum(weight) as weighted_avg_cycle_time_hours
        from marts.fct_team_pull_requests
        inner join marts.fct_pull_requests using (pull_request_id)
        inner join marts.fct_team_velocity_weekly using (team_id, week)
        """,
    )
    (found,) = ask(reader, "team_velocity_weekly", []).values()
    assert {metric: found[metric] for metric in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "period"), [("team_velocity_weekly", "week"), ("team_lead_time_monthly", "month")]
)
def test_pull_requests_behind_a_figure_give_the_figure(
    name: str, period: str, reader: Connection[Row]
) -> None:
    rollup = ask(reader, name, ["team_id", period])
    found = ask(reader, "team_pull_requests", ["team_id", period])
    shared = {*next(iter(found.values()))} & {*next(iter(rollup.values()))}
    assert len(shared) >= 3
    merged = {key: row for key, row in rollup.items() if row["prs_merged"]}
    assert len(merged) > 20
    for key, row in merged.items():
        assert {one: found[key][one] for one in shared} == pytest.approx(
            {one: row[one] for one in shared}
        )


def test_all_teams_count_each_pull_request_once(reader: Connection[Row]) -> None:
    rows = run(
        reader,
        """
        select distinct pull_request_id, month::timestamp as month, cycle_time_hours
        from marts.fct_team_pull_requests
        inner join marts.fct_pull_requests using (pull_request_id)
        where month is not null and team_id <> 'unassigned'
        """,
    )
    hours: dict[Any, list[float]] = {}
    for row in rows:
        hours.setdefault(row["month"], []).append(row["cycle_time_hours"])
    found = ask(reader, "merged_pull_requests", ["month"])
    assert {month: row["median_lead_time_hours"] for (month,), row in found.items()} == (
        pytest.approx({month: median(some) for month, some in hours.items()})
    )
    assert {month: row["prs_merged"] for (month,), row in found.items()} == {
        month: len(some) for month, some in hours.items()
    }


def test_deployments_behind_a_figure_give_the_figure(reader: Connection[Row]) -> None:
    """The demo's weeks are those of UTC."""
    metric = DATASET["team_deployments"]["metrics"][0]["expression"]
    rows = run(
        reader,
        f"""
        select team_id, date_trunc('week', deployed_at at time zone 'UTC') as week,
            {metric} as deployments
        from ({DATASET["team_deployments"]["sql"]}) as virtual_table
        group by 1, 2
        """,
    )
    found = {(row["team_id"], row["week"]): row["deployments"] for row in rows}
    weeks = ask(reader, "team_delivery_weekly", ["team_id", "week"])
    expected = {key: row["deployments"] for key, row in weeks.items() if row["deployments"]}
    assert len(expected) > 20
    assert {key: found.get(key) for key in expected} == expected
