"""Rows from Postgres's COPY to Parquet, with the types of the contracts."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from dora.errors import ConfigurationError
from export.marts import Column, Mart

# Rows of a row group: 15 MB of pull requests as CSV. Two groups are in memory at a time.
GROUP = 25_000
_BLOCK = 1 << 23
_TYPES = {
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "double precision": pa.float64(),
    "integer": pa.int32(),
    "jsonb": pa.string(),
    "text": pa.string(),
    "text[]": pa.list_(pa.string()),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


def schema_of(mart: Mart) -> Any:
    """The Arrow schema of a mart; raise `ConfigurationError` for a type that has no counterpart."""
    return pa.schema(
        pa.field(column.name, _type_of(mart, column), nullable=not column.is_required)
        for column in mart.columns
    )


def _type_of(mart: Mart, column: Column) -> Any:
    if found := _NUMERIC.fullmatch(column.type):
        return pa.decimal128(int(found[1]), int(found[2]))
    if column.type not in _TYPES:
        raise ConfigurationError(
            f"marts.{mart.name}.{column.name} has the type {column.type}, which cannot be exported:"
            f" use {', '.join(_TYPES)} or numeric(PRECISION,SCALE)"
        )
    return _TYPES[column.type]


def read_ahead(rows: Iterator[Any], counts: Iterable[int]) -> Iterator[bytes]:
    """Yield the lines of CSV of each row group of files with so many rows.

    `rows` has an element per line. The next group is fetched while the caller writes one.
    """
    groups = (b"".join(islice(rows, size)) for count in counts for size in _group_sizes(count))
    with ThreadPoolExecutor(1) as thread:
        fetched = thread.submit(next, groups, b"")
        while lines := fetched.result():
            fetched = thread.submit(next, groups, b"")
            yield lines


def _group_sizes(count: int) -> Iterator[int]:
    for done in range(0, count, GROUP):
        yield min(GROUP, count - done)


def write(path: Path, groups: Iterator[bytes], count: int, schema: Any) -> None:
    """Write a file of `count` rows from the next groups of `read_ahead`."""
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for size in _group_sizes(count):
            table = _parse(next(groups), schema)
            if table.num_rows != size:
                raise RuntimeError(f"{path.name}: {table.num_rows} rows instead of {size}")
            writer.write_table(table, row_group_size=size)


def _parse(lines: bytes, schema: Any) -> Any:
    is_list = [pa.types.is_list(field.type) for field in schema]
    table = csv.read_csv(
        pa.BufferReader(lines),
        # Threads pay only for several blocks.
        csv.ReadOptions(
            column_names=schema.names, block_size=_BLOCK, use_threads=len(lines) > _BLOCK
        ),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types={
                field.name: pa.string() if listed else field.type
                for field, listed in zip(schema, is_list, strict=True)
            },
            # Postgres writes t and f, nothing for null, and "" for an empty text.
            true_values=["t"],
            false_values=["f"],
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    columns = [
        _lists(column, field.type) if listed else column
        for column, field, listed in zip(table.columns, schema, is_list, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _lists(column: Any, kind: Any) -> Any:
    texts: Sequence[str | None] = column.to_pylist()
    return pa.array([text and json.loads(text) for text in texts], kind)
