"""Random configurations: the marts equal the plain Python reference for docs/metrics.md."""

import json

import pytest
from dbt_support import Warehouse
from random_teams import (
    AUTOMATION,
    RULES,
    ZONES,
    coverages,
    drawn,
    occasions,
    random_world,
    raw_rows,
)

from tests.differences import differences
from tests.reference import reference

COMPANIES = 80
VARIANTS = [(ZONES[0], "merged_at"), (ZONES[1], "created_at"), (ZONES[2], "merged_at")]
# Each status of open pull requests, and whether its start is unknown.
STATUSES = {
    ("draft", False),
    ("waiting_for_review", False),
    ("waiting_for_review", True),
    ("changes_requested", False),
    ("approved", False),
}
FIRST, *MORE = range(1, 7)


@pytest.mark.parametrize("seed", [FIRST, *(pytest.param(n, marks=pytest.mark.long) for n in MORE)])
def test_every_figure_of_random_teams_is_right(own_warehouse: Warehouse, seed: int) -> None:
    records, teams, logins, bearers = random_world(seed, COMPANIES)
    coverage = drawn(coverages(is_whole=seed % 2 == 0), seed)
    assert {name: n for name, n in occasions(records, teams).items() if not n} == {}
    own_warehouse.insert(**raw_rows(records, teams, logins, bearers, coverage))
    for timezone, instant in VARIANTS:
        variables = {"reporting_timezone": timezone, "attribution_instant": instant}
        own_warehouse.build("--vars", json.dumps(variables))
        expected = reference(
            records,
            teams,
            coverage,
            logins=logins,
            bearers=bearers,
            rules=RULES,
            automation=AUTOMATION,
            **variables,
        )
        assert len(expected.velocity) > 1000
        assert {row["excluded_by"] for row in expected.pull_requests.values()} == {
            None,
            *(rule["reason"] for rule in RULES),
        }
        statuses = {
            (row["status"], row["status_since"] is None)
            for row in expected.open_pull_requests.values()
        }
        assert statuses >= STATUSES
        assert differences(own_warehouse.database, expected) == []
