"""Descriptions of the models: in the project, in the database and in docs/marts.md."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dbt_support import ROOT, Warehouse

from ingest import tables

Node = dict[str, Any]
PAGE = ROOT / "docs" / "marts.md"
COMMENTS = """
select
    relname,
    coalesce(attname, ''),
    description
from pg_description
inner join pg_class on pg_description.objoid = pg_class.oid
left join pg_attribute on attrelid = pg_class.oid and attnum = objsubid and attnum > 0
where
    classoid = 'pg_class'::regclass
    and relnamespace = any (array[
        'staging'::regnamespace, 'intermediate'::regnamespace, 'marts'::regnamespace
    ])
"""


@pytest.fixture(scope="module")
def manifest(warehouse: Warehouse) -> dict[str, Any]:
    """dbt's manifest of the project, with everything built on empty tables."""
    warehouse.build("--write-json")
    return json.loads((warehouse.target / "manifest.json").read_text("utf-8"))


@pytest.fixture
def models(manifest: dict[str, Any]) -> dict[str, Node]:
    nodes = manifest["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model"}


@pytest.fixture
def marts(models: dict[str, Node]) -> dict[str, Node]:
    return {name: node for name, node in models.items() if node["schema"] == "marts"}


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_models_and_their_columns_are_described(models: dict[str, Node]) -> None:
    assert len(models) > 20
    undescribed = [name for name, node in models.items() if not node["description"].strip()]
    undescribed += [
        f"{name}.{column['name']}"
        for name, node in models.items()
        for column in node["columns"].values()
        if not column["description"].strip()
    ]
    assert undescribed == []


def test_every_model_has_a_key(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    """A test checks that the key's columns are unique together and not null."""
    tests = {"primary_key", "one_row", "identifies_row_of_pull_request"}
    keyed = {
        node["attached_node"].rpartition(".")[2]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node.get("test_metadata", {}).get("name") in tests
    }
    # The rows of the marts and of the views on them are tested before they are published.
    tested = {name for name in models if not name.startswith(("dim_", "fct_", "metricflow_"))}
    # int_pull_requests_changed tests the rows of the first. The unique index of
    # int_pull_requests_measured tests those of the other two, which are slow to compute again.
    assert tested - keyed == {
        "stg_github__pull_requests",
        "int_pull_requests_phased",
        "int_pull_requests_reviewed",
    }
    snapshots = {n["name"] for n in manifest["nodes"].values() if n["resource_type"] == "snapshot"}
    assert keyed - tested == snapshots


def test_public_models_have_a_contract_and_an_exposure(
    manifest: dict[str, Any], models: dict[str, Node], marts: dict[str, Node]
) -> None:
    assert {name for name, node in models.items() if node["access"] == "public"} == set(marts)
    assert {node["access"] for node in models.values()} == {"public", "private"}
    assert {node["group"] for node in models.values()} == {"metrics"}
    assert all(node["contract"]["enforced"] for node in marts.values())
    for exposure, unread in (("dashboard", {"fct_pull_request_labels"}), ("bi_tools", set())):
        (read,) = (
            set(one["depends_on"]["nodes"])
            for one in manifest["exposures"].values()
            if one["name"] == exposure
        )
        assert read == {node["unique_id"] for name, node in marts.items() if name not in unread}


def test_every_column_of_raw_is_described(manifest: dict[str, Any]) -> None:
    described = {
        source["name"]: {name: bool(one["description"]) for name, one in source["columns"].items()}
        for source in manifest["sources"].values()
    }
    assert described == {
        table: dict.fromkeys(columns, True) for table, columns in tables.TABLES.items()
    }


def test_marts_have_their_descriptions_as_comments(
    warehouse: Warehouse, marts: dict[str, Node]
) -> None:
    with warehouse.database.connect() as connection:
        said = {(name, column): text for name, column, text in connection.execute(COMMENTS)}
    expected = {
        (name, column): one_line(text)
        for name, node in marts.items()
        for column, text in [
            ("", node["description"]),
            *((one["name"], one["description"]) for one in node["columns"].values()),
        ]
    }
    assert said == expected


def test_every_column_of_a_mart_is_declared_with_its_type(
    warehouse: Warehouse, marts: dict[str, Node]
) -> None:
    with warehouse.database.connect() as connection:
        found = connection.execute(
            """
            select relname, attname, format_type(atttypid, atttypmod)
            from pg_attribute
            inner join pg_class on attrelid = pg_class.oid
            where relnamespace = 'marts'::regnamespace and relkind = 'r' and attnum > 0
            order by relname, attnum
            """
        ).fetchall()
    assert [(name, column, kind) for name, column, kind in found] == [
        (name, column["name"], column["data_type"])
        for name, node in sorted(marts.items())
        for column in node["columns"].values()
    ]


def table_of(node: Node) -> list[str]:
    """The table of a mart in docs/marts.md."""
    never_null = {
        column["name"]
        for column in node["columns"].values()
        if {"not_null", "primary_key"} & {one["type"] for one in column["constraints"]}
    }
    lines = ["| column | type | what it is |", "|---|---|---|"]
    for column in node["columns"].values():
        name = column["name"]
        kind = column["data_type"].replace("timestamp with time zone", "timestamptz")
        null = "" if name in never_null else ", may be null"
        lines.append(f"| `{name}` | {kind}{null} | {one_line(column['description'])} |")
    return lines


def test_docs_page_of_the_marts_equals_their_contracts(marts: dict[str, Node]) -> None:
    sections = dict(
        re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE.read_text("utf-8"), re.M | re.S)
    )
    assert sections.keys() == marts.keys()
    for name, node in marts.items():
        section = sections[name].splitlines()
        assert [line for line in section if line.startswith("|")] == table_of(node)
        assert one_line(node["description"]) in sections[name]


def test_make_docs_creates_one_page_without_external_resources(
    warehouse: Warehouse, manifest: dict[str, Any], tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    done = subprocess.run(
        ["make", "--no-print-directory", "docs", f"DOCS={tmp_path}"],
        cwd=ROOT,
        env=environment | {"DB_URL": warehouse.database.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{tmp_path}/index.html documents the database {warehouse.database}\n"
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "One row per team and week, including weeks without merges" in page
    assert re.findall(r"""<(?:script|link)[^>]*(?:src|href)=["']https?:""", page) == []
