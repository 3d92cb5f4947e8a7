"""pyarrow, DuckDB and Polars find Postgres's rows and types in the files."""

from decimal import Decimal
from pathlib import Path

import pytest
from export_support import (
    READERS,
    TYPES,
    files_of,
    in_order,
    manifest_in,
    marts_of,
    postgres_rows,
    publish,
)

from dora.database import Database
from export.destination import open_destination
from export.marts import MONTHS
from export.run import export_marts

# A comma, quotes, line ends, a tab, backslashes, the end of a COPY, words for null, no text.
HOSTILE = ['a,"b"', "c\r\nd\re\nf", "\t", "\\", "\\.", "\\N", "NULL", "null", "N/A", "", " "]
HOSTILE.append("é\U0001f600")


@pytest.mark.parametrize("reader", READERS)
def test_reader_finds_the_rows_and_types_of_every_mart(
    demo: Database, exported: Path, reader: str
) -> None:
    marts = marts_of(demo)
    assert len(marts) == 25
    for mart in marts:
        types, rows = READERS[reader](files_of(exported, mart.name))
        number = list(READERS).index(reader)
        assert types == [TYPES[column.type][number] for column in mart.columns], mart.name
        expected = postgres_rows(demo, mart)
        assert rows == expected, mart.name
        assert rows or mart.name == "fct_incidents", f"{mart.name} is empty: it shows nothing"


@pytest.mark.parametrize("reader", READERS)
def test_hostile_texts_and_columns_without_a_value_arrive_unchanged(
    marts: Database, tmp_path: Path, reader: str
) -> None:
    rows = [(f"team-{number}", text, text) for number, text in enumerate(HOSTILE)]
    rows.append(("team-null", "null", None))
    with marts.connect("dora_transform") as owner:
        owner.execute("delete from marts.dim_teams")
        owner.cursor().executemany("insert into marts.dim_teams values (%s, %s, %s)", rows)
        owner.execute("update marts.fct_deployments set failure_causes = %s", [HOSTILE])
        owner.execute("update marts.dim_team_memberships set also = null, left_at = null")
    export_marts(marts, open_destination(str(tmp_path)), keep=1)
    assert READERS[reader](files_of(tmp_path, "dim_teams"))[1] == in_order(rows)
    for mart in marts_of(marts):
        if mart.name in {"fct_deployments", "dim_team_memberships"}:
            found = READERS[reader](files_of(tmp_path, mart.name))[1]
            assert found == postgres_rows(marts, mart)


@pytest.mark.parametrize("reader", READERS)
def test_extreme_values_arrive_exactly(marts: Database, tmp_path: Path, reader: str) -> None:
    with marts.connect("dora_transform") as owner:
        owner.execute("delete from marts.fct_team_velocity_weekly")
        owner.cursor().executemany(
            "insert into marts.fct_team_velocity_weekly values (%s, %s, %s, %s, %s, %s, 0, true)",
            [
                ("a", "0001-01-01", 2**63 - 1, Decimal("9999999999.99"), 5e-324, 1e308),
                ("b", "9999-12-31", -(2**63), Decimal("0.01"), 0.1 + 0.2, 1 / 3),
            ],
        )
        owner.execute("update marts.dim_team_memberships set joined_at = '0001-01-01 00:00:00Z'")
        owner.execute(
            "update marts.fct_pull_requests set created_at = '2026-02-28 23:59:59.999999Z'"
        )
    export_marts(marts, open_destination(str(tmp_path)), keep=1)
    for mart in marts_of(marts):
        found = READERS[reader](files_of(tmp_path, mart.name))[1]
        assert found == postgres_rows(marts, mart), mart.name


def test_manifest_states_rows_bytes_and_months_of_the_files(exported: Path) -> None:
    manifest = manifest_in(exported)
    assert set(MONTHS) < set(manifest["marts"])
    for name, mart in manifest["marts"].items():
        assert mart["rows"] == sum(file["rows"] for file in mart["files"])
        for file in mart["files"]:
            assert (exported / file["path"]).stat().st_size == file["bytes"]
            assert (file["month"] is None) == (name not in MONTHS)
            assert file["month"] is None or f"_month={file['month']}/" in file["path"]
        assert all(column["description"] for column in mart["columns"]), name


def test_each_file_has_the_rows_of_its_month(demo: Database, exported: Path) -> None:
    (mart,) = (mart for mart in marts_of(demo) if mart.name == "fct_pull_requests")
    columns = [column.name for column in mart.columns]
    for file in manifest_in(exported)["marts"]["fct_pull_requests"]["files"]:
        rows = READERS["pyarrow"]([exported / file["path"]])[1]
        assert len(rows) == file["rows"]
        months = {row[columns.index("created_at")].strftime("%Y-%m-01") for row in rows}
        assert months == {file["month"]}


def test_an_empty_mart_is_a_file_without_rows(marts: Database, tmp_path: Path) -> None:
    publish(marts, "delete from marts.fct_pull_request_labels", "delete from marts.dim_teams")
    export_marts(marts, open_destination(str(tmp_path)), keep=1)
    for name in ("fct_pull_request_labels", "dim_teams"):
        types, rows = READERS["duckdb"](files_of(tmp_path, name))
        assert set(types) == {"VARCHAR"}
        assert rows == []
