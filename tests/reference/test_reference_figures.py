"""Percentiles and weights, the comparison itself, and real pull requests."""

import json
import random
import statistics
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.reference import Coverage, Marts, compare, keyed, read_records, reference
from tests.reference.cases import (
    Row,
    pr,
    team,
    work_out,
)
from tests.reference.pull_requests import HOUR
from tests.reference.rollups import percentile_cont, weighted_percentile

REAL = Path(__file__).parent / "data"


def test_weights_that_add_up_to_zero_give_no_weighted_figures() -> None:
    core = team("core", ("ada", "0.00", "2026-01-01", None))
    marts = work_out([pr(1, "ada", "01-05", "01-06")], core)
    week, month = (
        marts.velocity["core", date(2026, 1, 5)],
        marts.lead_time["core", date(2026, 1, 1)],
    )
    assert (week["prs_merged"], week["weighted_prs_merged"]) == (1, 0)
    assert (week["avg_cycle_time_hours"], week["weighted_avg_cycle_time_hours"]) == (24.0, None)
    assert month["median_lead_time_hours"] == 24.0
    assert month["weighted_median_lead_time_hours"] is None
    assert month["weighted_p95_lead_time_hours"] is None


@pytest.mark.parametrize("seed", range(20))
def test_percentiles_agree_with_the_standard_library_and_with_repetition(seed: int) -> None:
    rng = random.Random(seed)
    durations = [rng.randint(0, 50) * HOUR for _ in range(rng.randint(2, 40))]
    cuts = statistics.quantiles([one / HOUR for one in durations], n=20, method="inclusive")
    assert percentile_cont(durations, "0.5") == pytest.approx(cuts[9])
    assert percentile_cont(durations, "0.95") == pytest.approx(cuts[18])
    hundredths = [rng.choice([0, 5, 10, 33, 50, 100]) for _ in durations]
    weighted = [(one, Decimal(part) / 100) for one, part in zip(durations, hundredths, strict=True)]
    repeated = sorted(
        one for one, part in zip(durations, hundredths, strict=True) for _ in range(part)
    )
    for q in (50, 95):
        expected = repeated[-(-q * len(repeated) // 100) - 1] / HOUR if repeated else None
        assert weighted_percentile(weighted, str(q / 100)) == expected


def test_a_weighted_percentile_is_exact_even_if_floats_would_miss_it() -> None:
    weighted = [
        (1 * HOUR, Decimal("0.30")),
        (2 * HOUR, Decimal("0.25")),
        (3 * HOUR, Decimal("0.05")),
    ]
    assert 0.30 < 0.5 * (0.30 + 0.25 + 0.05)
    assert weighted_percentile(weighted, "0.5") == 1.0


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        (1.0, 1.0 + 1e-12, None),
        (1.0, 1.0 + 1e-6, "core 1: figure: expected 1.0, got 1.000001"),
        (24.0, 24, None),
        (0.0, None, "core 1: figure: expected 0.0, got null"),
        (None, 0, "core 1: figure: expected null, got 0"),
        (1, True, "core 1: figure: expected 1, got True"),
        (True, 1, "core 1: figure: expected True, got 1"),
        (1, 2, "core 1: figure: expected 1, got 2"),
        (Decimal("0.90"), Decimal("0.9"), None),
        (Decimal("0.9"), 0.9, None),
        (Decimal("0.9"), Decimal("0.91"), "core 1: figure: expected 0.9, got 0.91"),
        (
            date(2026, 1, 5),
            date(2026, 1, 12),
            "core 1: figure: expected 2026-01-05, got 2026-01-12",
        ),
    ],
)
def test_compare_values(expected: object, actual: object, difference: str | None) -> None:
    key = ("core", 1)
    found = list(compare({key: {"figure": expected}}, {key: {"figure": actual, "more": 1}}))
    assert found == ([] if difference is None else [difference])


def test_compare_lists_missing_and_unexpected_rows_and_columns() -> None:
    expected: dict[Any, Row] = {("core", 1): {"a": 1}, ("core", 2): {"a": None}}
    actual: dict[Any, Row] = {("core", 1): {"b": 1}, ("web", 3): {"a": "x"}}
    assert list(compare(expected, actual)) == [
        "core 1: no column a, expected 1",
        "core 2: no such row, expected {a: null}",
        "web 3: row not expected, got {a: 'x'}",
    ]
    with pytest.raises(ValueError, match="two rows have the key core"):
        keyed([{"team": "core"}, {"team": "core"}], "team")


@pytest.mark.parametrize("attribution_instant", ["merged_at", "created_at"])
def test_real_pull_requests_add_up(attribution_instant: str) -> None:
    marts = real_marts(attribution_instant=attribution_instant)
    for row in marts.pull_requests.values():
        if row["state"] == "merged":
            spent = [row[f"{name}_hours"] for name in ("coding", "draft", "pickup", "review")]
            assert min(spent) >= 0
            assert sum(spent) == pytest.approx(row["total_hours"])
    attributed = [
        (key[0], row["weight"])
        for key, row in marts.team_pull_requests.items()
        if key[0] != "unassigned" and marts.pull_requests[key[1:]]["state"] == "merged"
    ]
    for rows in (marts.velocity, marts.lead_time):
        assert sum(row["prs_merged"] for row in rows.values()) == len(attributed)
    weighted = sum(row["weighted_prs_merged"] for row in marts.velocity.values())
    assert weighted == sum(weight for _, weight in attributed)


def real_marts(**options: Any) -> Marts:
    records = list(read_records(REAL / "ietf_pull_requests.jsonl.gz"))
    teams = json.loads((REAL / "ietf_teams.json").read_text())
    coverage = {one["repository"]: Coverage(None, "2026-07-08T00:00:00Z") for one in records}
    return reference(records, teams, coverage, **options)
