"""List the differences between rows, one readable line each."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from math import isclose
from typing import Any

Rows = Mapping[Any, Mapping[str, object]]


def keyed(rows: Iterable[Mapping[str, object]], *columns: str) -> dict[Any, Mapping[str, object]]:
    """Index rows by the tuple of some columns; raise ValueError for two rows with one key."""
    by_key: dict[Any, Mapping[str, object]] = {}
    for row in rows:
        key = tuple(row[column] for column in columns)
        if key in by_key:
            raise ValueError(f"two rows have the key {_name(key)}")
        by_key[key] = row
    return by_key


def compare(expected: Rows, actual: Rows, tolerance: float = 1e-9) -> Iterator[str]:
    """Yield the differences between rows by key, in the order of `expected`.

    Floats may differ by `tolerance` relative to the larger one; everything else must be equal. Null
    is not 0, true is not 1, and a JSON number is compared with a decimal by its digits. Columns
    that only `actual` has are ignored.
    """
    for key, row in expected.items():
        if key not in actual:
            yield f"{_name(key)}: no such row, expected {_shown(dict(row))}"
            continue
        for column, value in row.items():
            if column not in actual[key]:
                yield f"{_name(key)}: no column {column}, expected {_shown(value)}"
            elif not _equal(value, actual[key][column], tolerance):
                got = _shown(actual[key][column])
                yield f"{_name(key)}: {column}: expected {_shown(value)}, got {got}"
    for key, row in actual.items():
        if key not in expected:
            yield f"{_name(key)}: row not expected, got {_shown(dict(row))}"


def _equal(expected: object, actual: object, tolerance: float) -> bool:
    if expected is None or actual is None:
        return expected is actual
    if isinstance(expected, bool) or isinstance(actual, bool):
        return isinstance(expected, bool) and isinstance(actual, bool) and expected == actual
    if isinstance(expected, float):
        return isinstance(actual, float | int | Decimal) and isclose(
            expected, float(actual), rel_tol=tolerance, abs_tol=0
        )
    if isinstance(expected, Decimal) and isinstance(actual, float):
        return expected == Decimal(repr(actual))
    return expected == actual


def _name(key: object) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(one)}" for name, one in value.items()) + "}"
    if value is None:
        return "null"
    return repr(value) if isinstance(value, str | float) else str(value)
