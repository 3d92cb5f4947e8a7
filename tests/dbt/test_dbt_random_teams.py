"""Random configurations: every row of the marts is what plain Python makes of METRICS.md."""

import json

import pytest
from dbt_support import Warehouse
from random_teams import ZONES, coverages, drawn, occasions, random_world, raw_rows

from tests.differences import differences
from tests.reference import reference

COMPANIES = 80
VARIANTS = [(ZONES[0], "merged_at"), (ZONES[1], "created_at"), (ZONES[2], "merged_at")]
FIRST, *MORE = range(1, 7)
GUARDS = ["every_merge_is_counted_or_excluded", "shares_of_a_pull_request_add_up"]
GUARDS += ["weeks_reconcile_with_attribution", "months_reconcile_with_attribution"]
GUARDS += ["no_credit_outside_the_authors_windows", "phases_add_up_to_the_total"]


@pytest.mark.parametrize("seed", [FIRST, *(pytest.param(n, marks=pytest.mark.long) for n in MORE)])
def test_every_figure_of_random_teams_is_right(own_warehouse: Warehouse, seed: int) -> None:
    records, teams, logins = random_world(seed, COMPANIES)
    coverage = drawn(coverages(is_whole=seed % 2 == 0), seed)
    assert {name: n for name, n in occasions(records, teams).items() if not n} == {}
    own_warehouse.insert(**raw_rows(records, teams, logins, coverage))
    for timezone, instant in VARIANTS:
        variables = {"reporting_timezone": timezone, "attribution_instant": instant}
        statuses = own_warehouse.dbt("run", "--vars", json.dumps(variables))
        assert set(statuses.values()) == {"success"}
        expected = reference(records, teams, coverage, logins=logins, **variables)
        assert len(expected.velocity) > 1000
        assert differences(own_warehouse.database, expected) == []
    statuses = own_warehouse.dbt("test", "--select", *GUARDS, "--vars", json.dumps(variables))
    assert statuses == dict.fromkeys(GUARDS, "pass")
