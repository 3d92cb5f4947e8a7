"""The contracts of the marts in docs/marts.md: `python -m tests.contracts > docs/releases/V.json`.

tests/dbt/test_dbt_docs.py compares that page with the contracts that dbt enforces.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RELEASES = ROOT / "docs" / "releases"

Contracts = dict[str, dict[str, str]]


def read_contracts(page: str) -> Contracts:
    """Return the type of each column of each table, as `bigint` or `bigint, may be null`."""
    tables = {}
    for part in re.split(r"^### `", page, flags=re.MULTILINE)[1:]:
        name = part.partition("`")[0]
        tables[name] = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", part, re.MULTILINE))
    return tables


def breaks(before: Contracts, now: Contracts) -> list[str]:
    """Return every change that would break a reader: only new tables and columns are allowed."""
    return [
        f"{table}.{column} was {kind!r} and is {now.get(table, {}).get(column)!r}"
        for table, columns in before.items()
        for column, kind in columns.items()
        # A reader that expects null also accepts values that are never null.
        if now.get(table, {}).get(column) not in {kind, kind.removesuffix(", may be null")}
    ]


def current() -> Contracts:
    return read_contracts((ROOT / "docs" / "marts.md").read_text("utf-8"))


if __name__ == "__main__":
    print(json.dumps(current(), indent=1))
