"""The statements and expressions of docs/export.md give the figures of the marts."""

import math
import re
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from export_support import files_of, manifest_in

from dora.database import Database
from dora.roles import READER

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text("utf-8")
LANGUAGES = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VELOCITY, LEAD_TIME = (text for language, text in LANGUAGES.findall(PAGE) if language == "sql")
READ_BY_DUCKDB, MONTHS_BY_POLARS = (
    text for language, text in LANGUAGES.findall(PAGE) if language == "python"
)
Figures = dict[tuple[str, date], dict[str, Any]]


def expressions(engine: str) -> list[str]:
    """Week, hours, percentile and label."""
    rows = re.findall(rf"^\| {engine} \| `(.+)` \| `(.+)` \|$", PAGE, re.MULTILINE)
    return [cell for row in rows for cell in row]


def by_key(names: list[str], rows: list[tuple[Any, ...]]) -> Figures:
    return {(row[0], row[1]): dict(zip(names[2:], row[2:], strict=True)) for row in rows}


def in_postgres(demo: Database, query: str) -> Figures:
    with demo.connect(READER) as connection:
        connection.execute("set search_path = marts")
        cursor = connection.execute(query.encode())
        assert cursor.description is not None
        return by_key([column.name for column in cursor.description], cursor.fetchall())


def published(demo: Database, mart: str) -> Figures:
    return in_postgres(demo, f"select * from {mart} where prs_merged > 0")


def assert_same(found: Figures, expected: Figures) -> None:
    """Counts and weights are equal, hours within 1e-9 of their size."""
    assert found.keys() == expected.keys()
    for key, figures in found.items():
        for name, value in figures.items():
            other = expected[key][name]
            is_hours = isinstance(value, float)
            assert math.isclose(value, other, rel_tol=1e-9) if is_hours else value == other, key


@pytest.fixture
def views(exported: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB's views as documented."""
    scope: dict[str, Any] = {}
    exec(READ_BY_DUCKDB.replace("/data/dora", str(exported)), scope)
    return scope["connection"]


@pytest.mark.parametrize(
    ("query", "mart"),
    [(VELOCITY, "fct_team_velocity_weekly"), (LEAD_TIME, "fct_team_lead_time_monthly")],
    ids=["velocity", "lead time"],
)
def test_statements_give_the_rollups_in_postgres_and_duckdb(
    demo: Database, views: duckdb.DuckDBPyConnection, query: str, mart: str
) -> None:
    expected = published(demo, mart)
    assert len(expected) > 50
    assert_same(in_postgres(demo, query), expected)
    cursor = views.execute(query)
    names = [column[0] for column in cursor.description]
    assert_same(by_key(names, cursor.fetchall()), expected)


def test_polars_gives_the_lead_times_of_the_marts(demo: Database, exported: Path) -> None:
    def scan(name: str) -> pl.LazyFrame:
        return pl.scan_parquet(files_of(exported, name), hive_partitioning=False)

    scope = {
        "pl": pl,
        "team_pull_requests": scan("fct_team_pull_requests"),
        "pull_requests": scan("fct_pull_requests"),
    }
    exec(MONTHS_BY_POLARS, scope)
    months: pl.DataFrame = scope["months"].collect()  # type: ignore[attr-defined]
    found = by_key(months.columns, months.rows())
    expected = published(demo, "fct_team_lead_time_monthly")
    assert_same(found, expected)


def test_expressions_of_the_engines_agree(
    demo: Database, views: duckdb.DuckDBPyConnection, exported: Path
) -> None:
    query = "select pull_request_id, {}, {}, {} from fct_pull_requests where merged_at is not null"
    percentile = "select {} from fct_pull_requests"
    week, hours, p95, label = expressions("Postgres")
    with demo.connect(READER) as connection:
        connection.execute("set search_path = marts")
        expected = sorted(connection.execute(query.format(week, hours, label).encode()))
        (limit,) = connection.execute(percentile.format(p95).encode()).fetchone() or ()
    assert len({row[1] for row in expected}) > 50
    assert 0 < sum(row[3] for row in expected) < len(expected)

    week, hours, p95, label = expressions("DuckDB")
    assert sorted(views.execute(query.format(week, hours, label)).fetchall()) == expected
    (found,) = views.execute(percentile.format(p95)).fetchone() or ()
    assert math.isclose(found, limit, rel_tol=1e-9)

    week, hours, p95, label = (eval(each) for each in expressions("Polars"))
    facts = pl.scan_parquet(files_of(exported, "fct_pull_requests"), hive_partitioning=False)
    merged = facts.filter(pl.col("merged_at").is_not_null())
    columns = (week.alias("week"), hours.alias("hours"), label.alias("label"))
    rows = sorted(merged.select("pull_request_id", *columns).collect().rows())
    # Polars divides by a constant with another last digit.
    assert [(*row[:2], row[3]) for row in rows] == [(*row[:2], row[3]) for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert math.isclose(row[2], other[2], rel_tol=1e-15)
    assert math.isclose(facts.select(p95).collect().item(), limit, rel_tol=1e-9)


def test_documented_layout_is_that_of_a_manifest(exported: Path) -> None:
    manifest = manifest_in(exported)
    (example,) = (text for language, text in LANGUAGES.findall(PAGE) if language == "json")
    documented = set(re.findall(r'"(\w+)":', example))
    mart = manifest["marts"]["fct_pull_requests"]
    found = manifest.keys() | mart.keys() | mart["files"][0].keys() | mart["columns"][0].keys()
    assert found <= documented <= found | manifest["build"].keys() | {"fct_pull_requests"}
