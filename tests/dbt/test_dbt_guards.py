"""The project's dbt tests fail on the errors that they exist for."""

import re

import pytest
from dbt_support import EXAMPLE, ROOT, Warehouse, membership


def test_an_empty_raw_builds_empty_marts(own_warehouse: Warehouse) -> None:
    own_warehouse.build()
    (build,) = own_warehouse.rows("select * from marts.dim_build")
    assert (build["as_of"], build["data_from"], build["history_from"]) == (None, None, None)
    assert own_warehouse.rows("select * from marts.fct_pull_requests") == []
    assert own_warehouse.rows("select * from marts.fct_team_velocity_weekly") == []


def test_no_model_reads_the_clock() -> None:
    clock = re.compile(r"\b(now|\w*_timestamp|timeofday)\(|\b(current|local)_?(date|time)|'now'")
    models = list((ROOT / "dbt_project").glob("m*/**/*.sql"))
    assert len(models) > 20
    assert [path.name for path in models if clock.search(path.read_text("utf-8"))] == []


def test_corrupted_tables_fail(own_warehouse: Warehouse) -> None:
    own_warehouse.insert(**EXAMPLE)
    own_warehouse.build()
    own_warehouse.execute(
        """
        update intermediate.int_pull_requests_attributed set weight = 0.4
        where pull_request_id = 'PR_1'
        """,
        "update intermediate.int_pull_requests_measured set draft_hours = 1 where number = 2",
        """
        insert into intermediate.int_pull_requests_attributed
        values ('core', false, 'PR_2', 'U_bob', 0, '2026-01-05T19:00Z', '2026-01-05T19:00Z',
            '2026-01-05', '2026-01-01', true)
        """,
        """
        delete from intermediate.int_team_periods_spanned
        where unit = 'week' and period = '2026-01-12'
        """,
        """
        update intermediate.int_team_periods_spanned set period = '2026-04-01'
        where team_id = 'web' and unit = 'month'
        """,
        """
        insert into intermediate.int_team_periods_spanned (team_id, unit, period, is_complete)
        values ('web', 'month', '2026-01-01', false)
        """,
        "update intermediate.int_team_months_summed set prs_merged = 5 where team_id = 'web'",
    )
    guards = [
        "shares_of_a_pull_request_add_up",
        "phases_add_up_to_the_total",
        "no_credit_outside_the_authors_windows",
        "weeks_of_a_team_have_no_gaps",
        "weeks_reconcile_with_attribution",
        "months_of_a_team_have_no_gaps",
        "months_reconcile_with_attribution",
    ]
    statuses = own_warehouse.dbt("test", "--select", *guards)
    assert statuses == dict.fromkeys(guards, "fail")


@pytest.fixture
def doubtful(own_warehouse: Warehouse) -> Warehouse:
    """Doubtful memberships in `core`.

    Ada's windows overlap in another spelling. Dan has two windows inside a long one. Finn leaves
    at the instant of joining. Cleo has two logins. Bob's weights exceed 1.
    """
    own_warehouse.insert(**EXAMPLE)
    own_warehouse.insert(
        user_logins=[{"user_id": "U_cleo", "login": login} for login in ("cleo", "cleo-new")],
        team_memberships=[
            membership("core", "ADA", "0.0", "2026-01-31T00:00Z"),
            membership("core", "bob", "0.1", "2026-01-31T00:00Z"),
            membership("core", "cleo", "0.1", "2026-01-01T00:00Z"),
            membership("core", "cleo-new", "0.1", "2026-01-31T00:00Z"),
            membership("core", "dan", "0.1", "2026-01-01T00:00Z", "2026-03-01T00:00Z"),
            membership("core", "dan", "0.1", "2026-01-05T00:00Z", "2026-01-06T00:00Z"),
            membership("core", "dan", "0.1", "2026-02-01T00:00Z", "2026-02-02T00:00Z"),
            membership("core", "finn", "0.1", "2026-02-01T00:00Z", "2026-02-01T00:00Z"),
        ],
    )
    assert set(own_warehouse.dbt("run").values()) == {"success"}
    return own_warehouse


def test_overlapping_windows_stop_the_build_and_doubtful_ones_warn(doubtful: Warehouse) -> None:
    overlaps = "windows_of_one_login_in_one_team_do_not_overlap"
    doubts = ["weights_of_a_person_stay_within_one", "a_person_is_in_a_team_by_one_login"]
    results = doubtful.results("test", "--select", overlaps, *doubts)
    assert {one.node.name: (str(one.status), one.failures) for one in results} == {
        overlaps: ("fail", 4)
    } | dict.fromkeys(doubts, ("warn", 1))

    statuses = doubtful.dbt("build", "--select", "stg_teams__memberships", "dim_team_memberships")
    assert statuses[overlaps] == "fail"
    assert statuses["dim_team_memberships"] == "skipped"
    assert doubtful.rows("select from marts.dim_team_memberships") == []
