"""Runs of some models alone, of two at once, and of those cut off: what the next build makes of it.

Whatever was done before, a build after it comes to what one from nothing does.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from dbt_support import EXAMPLE, ROOT, Warehouse, pull_request
from test_dbt_incremental import Marts, marts, run

from dora.roles import TRANSFORM

LATE = pull_request(10, "bob", "2026-01-11T13:30Z", "2026-01-11T23:30Z")
BERLIN = ("--vars", "{reporting_timezone: Europe/Berlin}")
OTHERS = "cannot be made of what was made before it"


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    """The worked example, built twice, and then a pull request more of the week's last hour; each
    test goes on from the last.
    """
    warehouse.insert(**EXAMPLE)
    run(warehouse)
    run(warehouse)
    warehouse.insert(pull_requests=[LATE])
    return warehouse


def refused(warehouse: Warehouse, *arguments: str) -> dict[str, str]:
    """What is said of each model that did not come about, by its name."""
    return {
        one.node.name: str(one.message)
        for one in warehouse.results("run", *arguments)
        if one.status == "error"
    }


def expect_as_from_nothing(warehouse: Warehouse) -> Marts:
    usual = run(warehouse)
    assert usual == run(warehouse, "--full-refresh")
    return usual


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        (
            ["+int_inputs_fingerprinted"],
            ["--exclude", "+int_pull_requests_touched"],
            "several builds",
        ),
        (
            ["+int_pull_requests_touched", "--full-refresh"],
            ["--exclude", "+int_pull_requests_tracked"],
            "several builds",
        ),
        (["int_inputs_fingerprinted"], ["--select", "fct_team_pull_requests"], "several builds"),
        (
            ["+int_pull_requests_tracked"],
            ["--select", "fct_pull_requests", *BERLIN],
            "other variables",
        ),
    ],
)
def test_what_was_not_made_together_is_not_taken_for_done(
    built: Warehouse, first: Sequence[str], then: Sequence[str], says: str
) -> None:
    before = marts(built)
    assert refused(built, "--select", *first) == {}
    told = refused(built, *then)
    assert told
    for mart, why in told.items():
        assert f"{OTHERS}, which is of {says}: --select +{mart}" in why
    assert marts(built) == before


def test_and_it_is_done_by_the_next_build(built: Warehouse) -> None:
    before = marts(built)
    after = expect_as_from_nothing(built)
    assert len(after["fct_pull_requests"]) == len(before["fct_pull_requests"]) + 1


def test_what_the_marts_hold_is_not_said_to_be_of_others(built: Warehouse) -> None:
    """They are of one build and its variables, and dim_build alone is to be of others."""
    before = marts(built)
    assert "other variables" in refused(built, "--select", "dim_build", *BERLIN)["dim_build"]
    assert refused(built, "--select", "+fct_pull_requests") == {}
    assert "several builds" in refused(built, "--select", "dim_build")["dim_build"]
    shares = ["int_pull_requests_attributed", "fct_team_pull_requests"]
    assert refused(built, "--select", *shares, "dim_build") == {}
    assert marts(built) == before


@contextmanager
def resting(warehouse: Warehouse, mart: str, seconds: int) -> Iterator[None]:
    """Have every insert into a mart take long."""
    with warehouse.database.connect(autocommit=True) as connection:
        connection.execute(
            f"""
            create function public.rest() returns trigger language plpgsql as
            $$ begin perform pg_sleep({seconds}); return null; end $$
            """.encode()
        )
        connection.execute(
            f"""
            create trigger rest before insert on marts.{mart}
            for each statement execute function public.rest()
            """.encode()
        )
        yield
        connection.execute("drop function public.rest cascade")


def wait_until(warehouse: Warehouse, is_resting: bool) -> None:
    query = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    deadline = time.monotonic() + 60
    with warehouse.database.connect(autocommit=True) as connection:
        while (connection.execute(query).fetchone() == (0,)) == is_resting:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def start(warehouse: Warehouse, *command: str) -> "subprocess.Popen[str]":
    environment = os.environ | warehouse.database.environment(TRANSFORM)
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment | {"DB_URL": warehouse.database.url, "DORA_HOME": str(warehouse.target)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_what_another_build_touches_meanwhile_is_left_for_the_next(built: Warehouse) -> None:
    places = ["--project-dir", "dbt_project", "--profiles-dir", "."]
    places += ["--target-path", str(built.target / "other"), "--log-path", str(built.target)]
    built.insert(pull_requests=[pull_request(11, "bob", "2026-01-13T00:00Z", "2026-01-13T05:00Z")])
    with resting(built, "fct_team_velocity_weekly", 12):
        slow = start(built, "dbt.cli.main", "run", "--select", "fct_team_velocity_weekly", *places)
        wait_until(built, is_resting=True)
        assert refused(built, "--select", "+fct_team_pull_requests") == {}
        assert slow.poll() is None
        said, _ = slow.communicate()
        assert slow.returncode == 0, said
    expect_as_from_nothing(built)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_ended_ends_dbt_and_names_what_it_wrote(
    built: Warehouse, number: signal.Signals
) -> None:
    (before,) = built.rows("select build_id from marts.dim_build")
    with resting(built, "fct_team_velocity_weekly", 15):
        build = start(built, "dora", "build", "--exclude", "test_type:unit", "test_type:data")
        wait_until(built, is_resting=True)
        build.send_signal(number)
        said, _ = build.communicate(timeout=14)
        assert build.returncode == 128 + number, said
        assert "Traceback" not in said
        wait_until(built, is_resting=False)
    (after,) = built.rows("select build_id from marts.dim_build")
    assert after != before
    expect_as_from_nothing(built)
