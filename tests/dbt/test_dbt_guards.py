"""dbt's own tests let nothing wrong pass: each is shown what it is there for."""

import re

import pytest
from dbt_support import EXAMPLE, ROOT, Warehouse, membership


@pytest.fixture(scope="module")
def empty(warehouse: Warehouse) -> Warehouse:
    warehouse.build()
    return warehouse


def test_an_empty_raw_builds_empty_marts(empty: Warehouse) -> None:
    (build,) = empty.rows("select * from marts.dim_build")
    assert (build["as_of"], build["data_from"], build["history_from"]) == (None, None, None)
    assert empty.rows("select * from marts.fct_pull_requests") == []
    assert empty.rows("select * from marts.fct_team_velocity_weekly") == []


def test_no_model_reads_the_clock() -> None:
    clock = re.compile(r"\b(now|\w*_timestamp|timeofday)\(|\b(current|local)_?(date|time)|'now'")
    models = list((ROOT / "dbt_project").glob("m*/**/*.sql"))
    assert len(models) > 20
    assert [path.name for path in models if clock.search(path.read_text("utf-8"))] == []


def test_corrupted_marts_fail(empty: Warehouse) -> None:
    empty.insert(**EXAMPLE)
    assert set(empty.dbt("run").values()) == {"success"}
    empty.execute(
        "update marts.fct_team_pull_requests set weight = 0.4 where pull_request_id = 'PR_1'",
        "update marts.fct_pull_requests set draft_hours = 1 where number = 2",
        """
        insert into marts.fct_team_pull_requests
        values ('core', 'PR_2', 0, '2026-01-05T19:00Z', '2026-01-05T19:00Z',
            '2026-01-05', '2026-01-01')
        """,
        "delete from marts.fct_team_velocity_weekly where week = '2026-01-12'",
        "update marts.fct_team_lead_time_monthly set month = '2026-04-01' where team_id = 'web'",
        """
        insert into marts.fct_team_lead_time_monthly (team_id, month, prs_merged, is_complete)
        values ('web', '2026-01-01', 1, false)
        """,
    )
    statuses = empty.dbt(
        "test",
        "--select",
        "shares_of_a_pull_request_add_up",
        "phases_add_up_to_the_total",
        "no_credit_outside_the_authors_windows",
        "weeks_of_a_team_have_no_gaps",
        "weeks_reconcile_with_attribution",
        "months_of_a_team_have_no_gaps",
        "months_reconcile_with_attribution",
    )
    assert statuses == dict.fromkeys(statuses, "fail")
    assert len(statuses) == 7


def test_overlapping_windows_stop_the_build_and_doubtful_ones_warn(empty: Warehouse) -> None:
    """Ada overlaps herself in other letters; Bob is over-allocated; Cleo goes by two logins."""
    empty.insert(
        user_logins=[{"user_id": "U_cleo", "login": login} for login in ("cleo", "cleo-new")],
        team_memberships=[
            membership("core", "ADA", "0.1", "2026-01-31T00:00Z"),
            membership("core", "bob", "0.1", "2026-01-31T00:00Z"),
            membership("core", "cleo", "0.1", "2026-01-01T00:00Z"),
            membership("core", "cleo-new", "0.1", "2026-01-31T00:00Z"),
        ],
    )
    statuses = empty.dbt("build", "--select", "stg_teams__memberships", "dim_team_memberships")
    assert statuses["windows_of_one_login_in_one_team_do_not_overlap"] == "fail"
    assert statuses["dim_team_memberships"] == "skipped"

    statuses = empty.dbt("run", "--select", "int_memberships_identified+")
    assert set(statuses.values()) == {"success"}
    doubts = "weights_of_a_person_stay_within_one", "a_person_is_in_a_team_by_one_login"
    assert empty.dbt("test", "--select", *doubts) == dict.fromkeys(doubts, "warn")
