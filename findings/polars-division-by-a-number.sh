#!/bin/sh
# polars 2.1.0: a column divided by a number is multiplied by the number's reciprocal.
#
# The result differs from IEEE division, and so from Postgres, DuckDB and Python, in the last bit of
# about one value in four. A frame of one row divides exactly, so the same value gives another result
# alone than beside a second row. Division by a column of the same number is always exact. Whoever
# turns microseconds into hours in polars and compares the result for equality with a database, or
# joins or counts by it, gets other rows. We found nothing about it in the documentation of `/`.
#
# Output seen with Python 3.11:
#   82874000000 / 3.6e9: Python 23.020555555555557, alone 23.020555555555557, in two rows 23.020555555555553
#   other than Python's, of 100000 whole microseconds: 26575 by a number, 0 by a column, 0 by DuckDB
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import polars as pl

HOUR = 3.6e9


def by_number(values):
    frame = pl.DataFrame({"n": values})
    return frame.select(pl.col("n") / HOUR)["n"].to_list()


def by_column(values):
    frame = pl.DataFrame({"n": values}).with_columns(h=pl.Series([HOUR] * len(values)))
    return frame.select(pl.col("n") / pl.col("h"))["n"].to_list()


def by_duckdb(values):
    frame = pl.DataFrame({"n": values})
    return [row[0] for row in duckdb.sql("select n::double / 3.6e9::double from frame").fetchall()]


one = [82_874_000_000]
print(
    f"{one[0]} / 3.6e9: Python {one[0] / HOUR}, alone {by_number(one)[0]}, "
    f"in two rows {by_number(one * 2)[0]}"
)
values = [7_919 * 1_000_003 * n for n in range(1, 100_001)]
expected = [value / HOUR for value in values]
others = {
    name: sum(x != y for x, y in zip(expected, found(values), strict=True))
    for name, found in (("number", by_number), ("column", by_column), ("duckdb", by_duckdb))
}
print(
    f"other than Python's, of {len(values)} whole microseconds: {others['number']} by a number, "
    f"{others['column']} by a column, {others['duckdb']} by DuckDB"
)
assert others["number"] > 0, "polars divides exactly now"
assert by_number(one)[0] != by_number(one * 2)[0]
assert others["column"] == others["duckdb"] == 0
PYTHON
