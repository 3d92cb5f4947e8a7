"""The marts change only at the end of a complete and valid build, in one transaction."""

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import pytest
from dbt_support import EXAMPLE, NO_UNIT_TESTS, ROOT, HookError, Warehouse, membership, pull_request
from test_dbt_incremental import KEYS, Marts, marts

from dora.roles import INGEST, READER, TRANSFORM

# A hash of all rows of all marts, with the build in dim_build.
EVERYTHING: LiteralString = """
select
    (select build_id from marts.dim_build) as build_id,
    md5(concat(
        (select string_agg(x::text, ',' order by x::text) from marts.dim_teams as x),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_group_pull_requests as x),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_group_velocity_weekly as x
        ),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_group_lead_time_monthly as x
        ),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_group_deployments as x),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_group_delivery_weekly as x
        ),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_group_delivery_monthly as x
        ),
        (select string_agg(x::text, ',' order by x::text) from marts.dim_groups as x),
        (select string_agg(x::text, ',' order by x::text) from marts.dim_group_teams as x),
        (select string_agg(x::text, ',' order by x::text) from marts.dim_team_memberships as x),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_pull_requests as x),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_team_pull_requests as x),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_open_pull_requests as x),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_team_velocity_weekly as x
        ),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_team_lead_time_monthly as x
        ),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_deployments as x),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_deployment_pull_requests as x
        ),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_team_deployments as x),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_incidents as x),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_team_delivery_weekly as x
        ),
        (
            select string_agg(x::text, ',' order by x::text)
            from marts.fct_team_delivery_monthly as x
        ),
        (select string_agg(x::text, ',' order by x::text) from marts.fct_team_trends as x)
    )) as rows_hash
"""


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    """The worked example, built; each test continues from the state of the previous one."""
    warehouse.insert(**EXAMPLE)
    warehouse.build()
    return warehouse


def state(warehouse: Warehouse) -> tuple[str, Marts]:
    """The build in dim_build, and every row of the marts."""
    (build,) = warehouse.rows("select build_id || built_at::text as said from marts.dim_build")
    return build["said"], marts(warehouse)


def land(warehouse: Warehouse, number: int) -> None:
    """Add a merge by Bob in a separate week, add a member, and rename the teams."""
    day = number % 28 + 1
    with warehouse.database.connect(INGEST) as raw:
        raw.execute("update raw.teams set name = name || '!'")
    warehouse.insert(
        pull_requests=[
            pull_request(number, "bob", f"2026-03-{day:02}T00:00Z", f"2026-03-{day:02}T05:00Z")
        ],
        team_memberships=[membership("web", f"new-{number}", "1.0", "2026-01-02T00:00Z")],
    )


@contextmanager
def watched(warehouse: Warehouse) -> Iterator[set[tuple[str, str]]]:
    """The states of the marts that a permanent reader sees."""
    seen: set[tuple[str, str]] = set()
    done = threading.Event()

    def look() -> None:
        with warehouse.database.connect(READER, autocommit=True) as connection:
            while not done.is_set():
                row = connection.execute(EVERYTHING).fetchone()
                assert row is not None
                seen.add(row)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield seen
    finally:
        done.set()
        reader.join()


def test_a_reader_sees_the_marts_of_one_build(built: Warehouse) -> None:
    before = built.rows(EVERYTHING)
    with watched(built) as seen:
        land(built, 20)
        built.build()
        between = built.rows(EVERYTHING)
        land(built, 21)
        built.build("--full-refresh")
    after = built.rows(EVERYTHING)
    assert seen == {tuple(row.values()) for row in (*before, *between, *after)}
    assert len(seen) == 3


# Corruptions of a model's rows during a build, and the tests that must detect them. Each statement
# has a separate pull request. dbt does not build models that depend on a failed test.
PLANTED: list[tuple[str, dict[str, LiteralString]]] = [
    (
        "int_pull_requests_changed",
        {
            "primary_key_int_pull_requests_changed_pull_request_id__attributed_at": (
                "insert into {0} select * from {0}"
            ),
            "accepted_values_int_pull_requests_changed_state__open__closed__merged": (
                "update {0} set state = 'lost'"
            ),
        },
    ),
    (
        "int_pull_requests_measured",
        {
            "primary_key_int_pull_requests_measured_pull_request_id__attributed_at": (
                "update {0} set attributed_at = null where pull_request_id = any(%s)"
            ),
        },
    ),
    (
        "int_pull_requests_measured",
        {
            "phases_add_up_to_the_total": (
                "update {0} set draft_hours = draft_hours + 1 where pull_request_id = any(%s)"
            ),
        },
    ),
    (
        "int_pull_requests_attributed",
        {
            "primary_key_int_pull_requests_attributed_team_id__pull_request_id__is_current": (
                "update {0} set is_current = null where pull_request_id = any(%s)"
            ),
            "shares_of_a_pull_request_add_up": (
                "update {0} set weight = 0.4 where pull_request_id = any(%s)"
            ),
            "no_credit_outside_the_authors_windows": (
                "update {0} set team_id = 'core' where pull_request_id = any(%s)"
            ),
            "relationships_int_pull_requests_attributed_team_id__team_id__ref_stg_teams__teams_": (
                "update {0} set team_id = 'nobodys' where pull_request_id = any(%s)"
            ),
        },
    ),
    (
        "int_team_weeks_summed",
        {
            "weeks_reconcile_with_attribution": ("update {0} set prs_merged = prs_merged + 1"),
        },
    ),
    (
        "int_team_months_summed",
        {
            "months_reconcile_with_attribution": ("update {0} set prs_merged = prs_merged + 1"),
        },
    ),
    (
        "int_team_periods_spanned",
        {
            "weeks_of_a_team_have_no_gaps": (
                "delete from {0} where unit = 'week' and period = '2026-01-19'"
            ),
            "every_merge_is_counted_or_excluded": (
                "delete from {0} where team_id = 'web' and period in ('2026-01-12', '2026-01-01')"
            ),
        },
    ),
]


@pytest.mark.parametrize(
    "place", range(len(PLANTED)), ids=[f"{m}-{n}" for n, (m, _) in enumerate(PLANTED)]
)
def test_rows_that_fail_a_data_test_reach_no_reader(built: Warehouse, place: int) -> None:
    """Only the changed pull requests are tested."""
    model, planted = PLANTED[place]
    first = 100 + 4 * place
    numbers = range(first, first + len(planted))
    built.insert(
        pull_requests=[
            pull_request(number, "bob", "2026-01-14T00:00Z", "2026-01-14T05:00Z")
            for number in numbers
        ]
        # Extends the weeks beyond the corrupted ones.
        + [pull_request(200 + place, "bob", "2026-03-02T00:00Z", "2026-03-02T05:00Z")]
    )
    before = state(built)

    def plant() -> None:
        with built.database.connect(TRANSFORM) as connection:
            for number, statement in zip(numbers, planted.values(), strict=True):
                parameters = [[f"PR_{number}"]] if "%s" in statement else None
                connection.execute(statement.format(f"intermediate.{model}").encode(), parameters)

    with watched(built) as seen:
        results = built.results("build", *NO_UNIT_TESTS, after={model: plant})
    failed = {one.node.name for one in results if one.status == "fail"}
    assert failed >= set(planted)
    assert state(built) == before
    assert len(seen) == 1
    built.build()
    assert built.pull_request(first)["author"] == "bob"


@pytest.mark.parametrize(
    ("number", "arguments", "reason"),
    [
        (50, ("run",), "did not run"),
        (51, ("build", "--select", "fct_pull_requests"), "did not run"),
        (52, ("build", "--exclude", "stg_teams__teams"), "stg_teams__teams"),
    ],
    ids=["without tests", "one mart", "all but one"],
)
def test_partial_build_is_not_published_and_warns(
    built: Warehouse, number: int, arguments: tuple[str, ...], reason: str
) -> None:
    land(built, number)
    before = state(built)
    built.dbt(*arguments)
    assert "The marts are unchanged: " in built.warnings[-1]
    assert reason in built.warnings[-1]
    assert state(built) == before
    built.build()
    assert state(built) != before


def test_a_build_overtaken_by_another_is_not_published(built: Warehouse) -> None:
    land(built, 60)
    before = state(built)
    overtake = "update intermediate.int_build_scoped set build_id = 'another'"
    with pytest.raises(HookError, match="another build started after this one"):
        built.results("build", *NO_UNIT_TESTS, after={"dim_build": lambda: built.execute(overtake)})
    assert state(built) == before
    built.build()
    assert state(built) != before


def test_views_on_marts_survive_and_neither_waits_for_the_other(built: Warehouse) -> None:
    """A full refresh and a new column in a mart do not wait for an open report."""
    built.execute(
        "alter table marts.fct_pull_requests drop column size cascade",
        "alter table marts.fct_team_pull_requests drop column weight cascade",
    )
    with built.database.connect() as connection:
        (name,) = connection.execute("select current_database()").fetchone() or ("",)
        connection.execute("create schema reports")
        for mart in KEYS:
            connection.execute(f"create view reports.{mart} as select * from marts.{mart}")
        connection.execute(f"alter database {name} set lock_timeout = '5s'")
    oids: LiteralString = """
        select array_agg(oid::bigint order by relname) as ids
        from pg_class
        where relnamespace = 'reports'::regnamespace
    """
    before = built.rows(oids)
    reading = built.database.connect()
    reading.execute("select count(*) from reports.fct_team_velocity_weekly")
    report = built.database.connect()
    report.execute("select count(*) from reports.fct_pull_requests")
    threading.Timer(3, report.close).start()
    land(built, 61)
    built.build("--full-refresh")
    assert built.rows(oids) == before
    reading.close()
    columns = built.rows(
        """
        select attname, attnotnull, format_type(atttypid, atttypmod) as data_type
        from pg_attribute
        where
            attrelid in (
                'marts.fct_pull_requests'::regclass, 'marts.fct_team_pull_requests'::regclass
            )
            and attname in ('size', 'weight')
        order by attname
        """
    )
    assert [tuple(row.values()) for row in columns] == [
        ("size", False, "bigint"),
        ("weight", True, "numeric(3,2)"),
    ]
    assert built.rows("select from marts.fct_team_pull_requests where weight is null") == []
    with built.database.connect() as connection:
        connection.execute("drop schema reports cascade")


def test_marts_have_keys_that_refer_to_each_other(built: Warehouse) -> None:
    found = built.rows(
        """
        select conrelid::regclass::text as mart, pg_get_constraintdef(oid) as definition
        from pg_constraint
        where connamespace = 'marts'::regnamespace and contype in ('p', 'f')
        order by mart, definition
        """
    )
    keys = [(row["mart"].removeprefix("marts."), row["definition"]) for row in found]
    team = "FOREIGN KEY (team_id) REFERENCES marts.dim_teams(team_id)"
    pull_request = (
        "FOREIGN KEY (pull_request_id) REFERENCES marts.fct_pull_requests(pull_request_id)"
    )
    group = "FOREIGN KEY (group_id) REFERENCES marts.dim_groups(group_id)"
    deployment = "FOREIGN KEY (deployment_id) REFERENCES marts.fct_deployments(deployment_id)"
    assert [key for key in keys if key[1].startswith("FOREIGN")] == [
        ("dim_group_teams", group),
        ("dim_group_teams", team),
        ("dim_team_memberships", team),
        ("fct_deployment_pull_requests", deployment),
        ("fct_deployment_pull_requests", pull_request),
        ("fct_group_delivery_monthly", group),
        ("fct_group_delivery_weekly", group),
        ("fct_group_deployments", deployment),
        ("fct_group_lead_time_monthly", group),
        ("fct_group_pull_requests", pull_request),
        ("fct_group_velocity_weekly", group),
        ("fct_incidents", deployment),
        ("fct_open_pull_requests", pull_request),
        ("fct_pull_request_labels", pull_request),
        ("fct_pull_request_reviews", pull_request),
        ("fct_team_delivery_monthly", team),
        ("fct_team_delivery_weekly", team),
        ("fct_team_deployments", deployment),
        ("fct_team_lead_time_monthly", team),
        ("fct_team_pull_requests", pull_request),
        ("fct_team_trends", team),
        ("fct_team_velocity_weekly", team),
    ]
    assert {mart for mart, definition in keys if definition.startswith("PRIMARY")} == set(KEYS)
    others = built.rows(
        """
        select array_agg(indexname::text order by indexname) as names
        from pg_indexes
        where schemaname = 'marts' and indexname !~ '_pkey$'
        """
    )
    assert others[0]["names"] == [
        "fct_deployment_pull_requests_pull_request_id_idx",
        "fct_deployments_deployed_at_idx",
        "fct_group_deployments_group_id_idx",
        "fct_group_pull_requests_group_id_merged_at_idx",
        "fct_group_pull_requests_group_id_month_week_idx",
        "fct_pull_request_labels_label_idx",
        "fct_pull_request_reviews_pull_request_id_idx",
        "fct_pull_requests_author_idx",
        "fct_pull_requests_merged_at_idx",
        "fct_team_deployments_team_id_idx",
        "fct_team_pull_requests_team_id_merged_at_idx",
        "fct_team_pull_requests_team_id_month_week_idx",
    ]
    identities = built.rows(
        """
        select distinct relreplident::text as kind
        from pg_class
        where relnamespace = 'marts'::regnamespace and relkind = 'r'
        """
    )
    assert identities == [{"kind": "d"}]


def test_build_changes_a_mart_to_match_its_contract(built: Warehouse) -> None:
    columns: LiteralString = """
        select attname, format_type(atttypid, atttypmod) as data_type
        from pg_attribute
        where attrelid = 'marts.dim_teams'::regclass and attnum > 0 and not attisdropped
        order by attname
    """
    before = built.rows(columns)
    built.execute(
        "alter table marts.dim_teams add column colour text",
        "alter table marts.dim_teams alter column description type varchar(400)",
    )
    built.build()
    assert built.rows(columns) == before


def test_query_that_violates_its_contract_is_refused(built: Warehouse, tmp_path: Path) -> None:
    other = replace(built, project=tmp_path / "project", target=tmp_path / "target")
    shutil.copytree(built.project, other.project)
    mart = other.project / "models/marts/dim_build.sql"
    mart.write_text(mart.read_text("utf-8").replace("as_of,", "as_of::text as as_of,"), "utf-8")
    (failed,) = other.results("run", "--select", "dim_build")
    assert failed.status == "error"
    assert "contract" in failed.message


BUILD = (sys.executable, "-m", "cli", "build")


def start_build(warehouse: Warehouse) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        BUILD,
        cwd=ROOT,
        env={"PATH": "", "DB_URL": warehouse.database.url, "DORA_HOME": str(warehouse.target)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(n, marks=pytest.mark.long) for n in range(3, 21))]
)
def test_killed_build_leaves_the_marts_unchanged_or_complete(built: Warehouse, seed: int) -> None:
    rng = random.Random(seed)
    land(built, 70 + seed)
    before = built.rows(EVERYTHING)
    build = start_build(built)
    time.sleep(rng.uniform(1, 12))
    build.kill()
    build.wait()
    now = built.rows(EVERYTHING)
    built.build()
    after = built.rows(EVERYTHING)
    assert after[0]["rows_hash"] != before[0]["rows_hash"]
    assert now == before or now[0]["rows_hash"] == after[0]["rows_hash"]


def test_sigterm_while_publishing_reports_the_state_of_the_marts(built: Warehouse) -> None:
    land(built, 95)
    before = state(built)
    with built.database.connect(autocommit=True) as connection:
        connection.execute(
            """
            create function public.rest() returns trigger language plpgsql as
            $$ begin perform pg_sleep(15); return null; end $$
            """
        )
        connection.execute(
            """
            create trigger rest after insert on marts.fct_pull_requests
            for each statement execute function public.rest()
            """
        )
        build = start_build(built)
        resting = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        deadline = time.monotonic() + 90
        while connection.execute(resting).fetchone() == (0,):
            assert time.monotonic() < deadline
            assert build.poll() is None, build.communicate()
            time.sleep(0.1)
        build.terminate()
        output, _ = build.communicate(timeout=60)
        assert build.returncode == 143, output
        assert "Traceback" not in output
        said = "unchanged" if state(built) == before else "from this build"
        assert f"The marts are {said}." in output
        connection.execute("drop function public.rest cascade")
    built.build()
    assert state(built) != before


def test_row_that_violates_a_constraint_is_not_published(built: Warehouse) -> None:
    """An error of the database stops publishing like a failed test."""
    land(built, 96)
    before = state(built)
    plant = "update intermediate.int_pull_requests_measured set number = null where number = 96"
    with pytest.raises(HookError, match="null value"):
        built.results(
            "build",
            *NO_UNIT_TESTS,
            after={"int_pull_requests_measured": lambda: built.execute(plant)},
        )
    assert state(built) == before
