"""A small copy of the demo's marts, and readers of an export."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import polars
import pyarrow.parquet as pq
from psycopg import sql

from dora.database import Database
from dora.roles import READER, TRANSFORM
from export.marts import Mart, read_marts
from export.run import MANIFEST

Rows = list[tuple[Any, ...]]
REPUBLISH = "update marts.dim_build set build_id = %s, built_at = built_at + interval '1 hour'"


def marts_of(database: Database) -> list[Mart]:
    with database.connect(READER) as connection:
        return list(read_marts(connection, database.schemas))


def copy_marts(source: Database, target: Database) -> None:
    """Create the marts of `source` in `target`, without keys, and copy their rows."""
    with source.connect(READER) as reader, target.connect(TRANSFORM) as owner:
        for mart in read_marts(reader, source.schemas):
            columns = ", ".join(
                f"{column.name} {column.type}{' not null' if column.is_required else ''}"
                for column in mart.columns
            )
            owner.execute(f"create table marts.{mart.name} ({columns})".encode())
            table = sql.Identifier("marts", mart.name)
            out = sql.SQL("copy {} to stdout (format binary)").format(table)
            back = sql.SQL("copy {} from stdin (format binary)").format(table)
            with reader.cursor().copy(out) as read, owner.cursor().copy(back) as written:
                for block in read:
                    written.write(block)


def publish(database: Database, *statements: str) -> str:
    """Change the marts in one transaction, as another build; return its id."""
    build_id = str(uuid4())
    with database.connect(TRANSFORM) as owner:
        for statement in statements:
            owner.execute(statement.encode())
        owner.execute(REPUBLISH, [build_id])
    return build_id


def postgres_rows(database: Database, mart: Mart) -> Rows:
    """The rows with JSON as text."""
    values = [
        sql.SQL("{}::text" if column.type == "jsonb" else "{}").format(sql.Identifier(column.name))
        for column in mart.columns
    ]
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(values), sql.Identifier("marts", mart.name)
    )
    with database.connect(READER) as connection:
        return in_order(connection.execute(query).fetchall())


def in_order(rows: Iterable[Iterable[Any]]) -> Rows:
    return sorted((tuple(row) for row in rows), key=repr_of_values)


def repr_of_values(row: tuple[Any, ...]) -> list[str]:
    # The names of the zone UTC differ between the readers, so use the instant.
    return [str(value.timestamp()) if hasattr(value, "timestamp") else repr(value) for value in row]


def manifest_in(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / MANIFEST).read_text("utf-8")))


def files_of(folder: Path, name: str) -> list[Path]:
    return [folder / file["path"] for file in manifest_in(folder)["marts"][name]["files"]]


def read_by_pyarrow(files: list[Path]) -> tuple[list[str], Rows]:
    table = pq.ParquetDataset(files, partitioning=None).read()
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return [str(kind) for kind in table.schema.types], in_order(rows)


def read_by_duckdb(files: list[Path]) -> tuple[list[str], Rows]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        found = connection.read_parquet([str(file) for file in files], hive_partitioning=False)
        return [str(kind) for kind in found.types], in_order(found.fetchall())


def read_by_polars(files: list[Path]) -> tuple[list[str], Rows]:
    frame = polars.scan_parquet(files, hive_partitioning=False).collect()
    return [str(kind) for kind in frame.dtypes], in_order(frame.rows())


READERS: dict[str, Callable[[list[Path]], tuple[list[str], Rows]]] = {
    "pyarrow": read_by_pyarrow,
    "duckdb": read_by_duckdb,
    "polars": read_by_polars,
}
# The type of each reader for a type of the contracts.
TYPES = {
    "text": ("string", "VARCHAR", "String"),
    "jsonb": ("string", "VARCHAR", "String"),
    "text[]": ("list<element: string>", "VARCHAR[]", "List(String)"),
    "bigint": ("int64", "BIGINT", "Int64"),
    "boolean": ("bool", "BOOLEAN", "Boolean"),
    "date": ("date32[day]", "DATE", "Date"),
    "double precision": ("double", "DOUBLE", "Float64"),
    "numeric(3,2)": ("decimal128(3, 2)", "DECIMAL(3,2)", "Decimal(precision=3, scale=2)"),
    "numeric(12,2)": ("decimal128(12, 2)", "DECIMAL(12,2)", "Decimal(precision=12, scale=2)"),
    "timestamp with time zone": (
        "timestamp[us, tz=UTC]",
        "TIMESTAMP WITH TIME ZONE",
        "Datetime(time_unit='us', time_zone='UTC')",
    ),
}
