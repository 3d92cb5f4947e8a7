"""An incremental build gives the same rows as a full refresh.

Each test changes `raw` as an ingest would, builds incrementally, then with `--full-refresh`.
"""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import pytest
from dbt_support import Row, Warehouse, pull_request, repository
from psycopg.rows import dict_row
from random_edits import (
    EDITS,
    PEOPLE,
    configure,
    cover_more,
    deploy,
    history,
    land,
    rename_repository,
    vanish,
)

from dora.roles import INGEST

KEYS: dict[str, LiteralString] = {
    "fct_pull_requests": "select * from marts.fct_pull_requests",
    "fct_pull_request_labels": "select * from marts.fct_pull_request_labels",
    "fct_pull_request_reviews": "select * from marts.fct_pull_request_reviews",
    "fct_open_pull_requests": "select * from marts.fct_open_pull_requests",
    "fct_team_pull_requests": "select * from marts.fct_team_pull_requests",
    "fct_team_velocity_weekly": "select * from marts.fct_team_velocity_weekly",
    "fct_team_lead_time_monthly": "select * from marts.fct_team_lead_time_monthly",
    "fct_deployments": "select * from marts.fct_deployments",
    "fct_deployment_pull_requests": "select * from marts.fct_deployment_pull_requests",
    "fct_team_deployments": "select * from marts.fct_team_deployments",
    "fct_incidents": "select * from marts.fct_incidents",
    "fct_team_delivery_weekly": "select * from marts.fct_team_delivery_weekly",
    "fct_team_delivery_monthly": "select * from marts.fct_team_delivery_monthly",
    "fct_team_trends": "select * from marts.fct_team_trends",
    "fct_group_pull_requests": "select * from marts.fct_group_pull_requests",
    "fct_group_velocity_weekly": "select * from marts.fct_group_velocity_weekly",
    "fct_group_lead_time_monthly": "select * from marts.fct_group_lead_time_monthly",
    "fct_group_deployments": "select * from marts.fct_group_deployments",
    "fct_group_delivery_weekly": "select * from marts.fct_group_delivery_weekly",
    "fct_group_delivery_monthly": "select * from marts.fct_group_delivery_monthly",
    "dim_groups": "select * from marts.dim_groups",
    "dim_group_teams": "select * from marts.dim_group_teams",
    "dim_teams": "select * from marts.dim_teams",
    "dim_team_memberships": "select * from marts.dim_team_memberships",
    "dim_build": """
        select as_of, data_from, history_from, reporting_timezone, attribution_instant
        from marts.dim_build
    """,
}
Marts = dict[str, list[str]]


def marts(warehouse: Warehouse) -> Marts:
    """Every row of every mart."""
    return {
        name: sorted(repr(row) for row in warehouse.rows(query)) for name, query in KEYS.items()
    }


def run(warehouse: Warehouse, *arguments: str) -> Marts:
    warehouse.build(*arguments)
    return marts(warehouse)


def changed(warehouse: Warehouse) -> set[str]:
    """The pull requests that the last build measured."""
    with warehouse.database.connect() as connection:
        query = "select pull_request_id from intermediate.int_pull_requests_changed"
        return {row[0] for row in connection.execute(query).fetchall()}


def scope(warehouse: Warehouse) -> Row:
    """The work that the next build would have to do."""
    statuses = warehouse.dbt("run", "--select", "+int_build_scoped")
    assert set(statuses.values()) == {"success"}
    with warehouse.database.connect() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        (row,) = cursor.execute("select * from intermediate.int_build_scoped").fetchall()
    return row


@pytest.fixture(scope="module")
def filled(warehouse: Warehouse) -> Warehouse:
    """120 pull requests of twelve people in three teams, built.

    Each test continues from the state of the previous one, which ends with a build.
    """
    rng = random.Random(1)
    warehouse.insert(
        repositories=[
            repository(f"acme/r{n}", id=f"R_{n}", covered_to="2026-04-15T00:00Z") for n in range(3)
        ]
    )
    configure(warehouse, rng)
    land(warehouse, range(120), rng)
    warehouse.insert(commits=history(3, 140))
    deploy(warehouse, rng)
    deploy(warehouse, rng)
    run(warehouse)
    return warehouse


@pytest.mark.parametrize("seed", [2, *(pytest.param(n, marks=pytest.mark.long) for n in (3, 4, 5))])
def test_incremental_build_after_random_edits_equals_full_refresh(
    filled: Warehouse, seed: int
) -> None:
    rng = random.Random(seed)
    before = marts(filled)
    assert all(before.values())
    for step in range(3):
        for change in rng.sample(EDITS, rng.randrange(1, len(EDITS))):
            change(filled, rng)
        usual = run(filled)
        assert usual != before, step
        before = run(filled, "--full-refresh")
        assert usual == before, step


def row_versions(warehouse: Warehouse) -> list[Row]:
    """The transaction that wrote each row of the facts."""
    return warehouse.rows(
        """
        select xmin::text, 'pull request' as mart, pull_request_id as key, null as other_key
        from marts.fct_pull_requests
        union all
        select xmin::text, 'share', pull_request_id, team_id from marts.fct_team_pull_requests
        union all
        select xmin::text, 'week', week::text, team_id from marts.fct_team_velocity_weekly
        union all
        select xmin::text, 'month', month::text, team_id from marts.fct_team_lead_time_monthly
        order by mart, key, other_key
        """
    )


def a_team(warehouse: Warehouse) -> str:
    """One of the currently configured teams."""
    (row,) = warehouse.rows("select min(team_id) as team_id from marts.dim_teams")
    return str(row["team_id"])


def test_unchanged_rows_are_not_rewritten(filled: Warehouse) -> None:
    before = row_versions(filled)
    run(filled)
    assert changed(filled) == set()
    assert row_versions(filled) == before

    land(filled, [3, 77], random.Random(6))
    run(filled)
    assert changed(filled) == {"PR_3", "PR_77"}
    assert scope(filled)["is_published_whole"] is False

    before = row_versions(filled)
    run(filled, "--full-refresh")
    assert len(changed(filled)) > 100
    assert row_versions(filled) == before


@pytest.mark.parametrize(
    ("change", "has_new_memberships"),
    [
        ("update raw.team_memberships set allocation_weight = 0.87 where ctid = {}", True),
        ("update raw.team_memberships set joined_at = joined_at - interval '1 s'", True),
        ("update raw.team_memberships set left_at = '2027-01-01Z' where ctid = {}", True),
        (
            "insert into raw.team_groups (team_id, group_id, name, parent_group_id)"
            " select team_id, 'new', 'New', 'all' from raw.teams",
            True,
        ),
        ("update raw.user_logins set user_id = 'U_other' where login = 'p3'", True),
        ("update raw.repositories set repository = 'acme/x' where id = 'R_1'", False),
    ],
    ids=["weight", "joined_at", "left_at", "group", "account", "repository name"],
)
def test_change_of_an_input_is_detected(
    filled: Warehouse, change: LiteralString, has_new_memberships: bool
) -> None:
    a_row = "(select min(ctid) from raw.team_memberships)"
    with filled.database.connect(INGEST) as connection:
        connection.execute(change.replace("{}", a_row).encode())
    noticed = scope(filled)
    assert noticed["has_new_memberships"] is has_new_memberships
    assert noticed["is_published_whole"] is True
    assert noticed["is_audited_whole"] is True
    assert run(filled) == run(filled, "--full-refresh")


@pytest.mark.parametrize(
    ("file", "old", "new", "is_noticed"),
    [
        ("models/marts/dim_teams.sql", "with", "-- Otherwise.\nwith", False),
        ("models/marts/dim_teams.sql", "with", "{# Otherwise. #}\n\nwith", False),
        ("macros/hours.sql", "3600", "60", True),
        ("models/marts/dim_teams.sql", "description", "null::text as description", True),
    ],
    ids=["comment", "Jinja comment and layout", "macro", "model"],
)
def test_code_counts_as_changed_if_its_sql_does(
    filled: Warehouse, tmp_path: Path, file: str, old: str, new: str, is_noticed: bool
) -> None:
    other = replace(filled, project=tmp_path / "project", target=tmp_path / "target")
    shutil.copytree(filled.project, other.project)
    text = (other.project / file).read_text("utf-8")
    assert old in text
    (other.project / file).write_text(text.replace(old, new, 1), "utf-8")
    assert scope(other)["has_new_rules"] is is_noticed


def test_every_macro_of_the_models_is_hashed(filled: Warehouse) -> None:
    """A change of a macro outside the list would not be detected."""
    filled.dbt("compile", "--select", "dim_teams")
    manifest = json.loads((filled.target / "manifest.json").read_text("utf-8"))
    used = {
        macro
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and "/marts/" not in node["original_file_path"]
        for macro in node["depends_on"]["macros"]
        if macro.startswith("macro.dora_metrics.")
    }
    hashed = manifest["macros"]["macro.dora_metrics.hash_of_the_code"]["depends_on"]["macros"]
    # They do not change rows, only which rows are computed and how fast.
    steering = {"should_full_refresh", "is_full_refresh", "hash_of_the_code", "scope_says"}
    # Their values are hashed.
    steering |= {"reporting_timezone", "attribution_instant"}
    steering |= {"analyze_new_table", "expect_all_pull_requests", "set_work_mem", "node_of"}
    steering |= {"is_changed", "is_due", "due_deployments", "is_recomputed"}
    steering |= {"delete_due_rows", "delete_due_repositories", "delete_changed_rows"}
    steering |= {"forget_published_hashes", "forget_published_deliveries"}
    assert used - set(hashed) <= {f"macro.dora_metrics.{name}" for name in steering}


def test_recreated_raw_table_is_read_completely(filled: Warehouse) -> None:
    before = marts(filled)
    (gone,) = filled.rows(
        """
        select min(shares.pull_request_id) as id
        from marts.fct_team_pull_requests as shares
        inner join marts.fct_team_velocity_weekly as weeks
            on shares.team_id = weeks.team_id and shares.week = weeks.week
        where weeks.prs_merged = 1
        """
    )
    with filled.database.connect(INGEST) as connection:
        connection.execute("create table raw.others (like raw.pull_requests including all)")
        connection.execute(
            "insert into raw.others select * from raw.pull_requests where id <> %s", [gone["id"]]
        )
        connection.execute("alter sequence raw.changes owned by raw.others.change_number")
        connection.execute("drop table raw.pull_requests cascade")
        connection.execute("alter table raw.others rename to pull_requests")
        for table in ("pull_request_reviews", "pull_request_draft_events"):
            statement = f"delete from raw.{table} where pull_request_id = %s"
            connection.execute(statement.encode(), [gone["id"]])
    usual = run(filled)
    assert usual != before
    assert usual == run(filled, "--full-refresh")


def test_runs_of_some_models_are_completed_by_the_next_build(filled: Warehouse) -> None:
    """The runs stand for builds that failed half-way, with ingests between them."""
    rng = random.Random(7)
    before = marts(filled)
    for select in ("+int_pull_requests_measured", "+int_team_weeks_summed", "int_build_scoped"):
        land(filled, range(rng.randrange(40), 60), rng)
        vanish(filled, rng)
        configure(filled, rng)
        assert set(filled.dbt("run", "--select", select).values()) == {"success"}
        assert marts(filled) == before
    usual = run(filled)
    assert usual == run(filled, "--full-refresh")


@pytest.mark.parametrize(
    ("change", "back"),
    [
        (
            """
            insert into raw.settings values
            ('pull_requests', '[{"title": "*", "reason": "r"}]')
            """,
            "delete from raw.settings where name = 'pull_requests'",
        ),
        (
            "update raw.team_memberships set allocation_weight = allocation_weight / 2",
            "update raw.team_memberships set allocation_weight = allocation_weight * 2",
        ),
        (
            "update raw.deployment_statuses set created_at = created_at + interval '40 days'",
            "update raw.deployment_statuses set created_at = created_at - interval '40 days'",
        ),
    ],
    ids=["rules", "memberships", "deliveries"],
)
def test_change_reverted_before_publishing_has_no_effect(
    filled: Warehouse, change: LiteralString, back: LiteralString
) -> None:
    """The build with the change does not publish: its rows are in the models but in no mart."""
    rng = random.Random(8)
    configure(filled, rng)
    before = run(filled)
    with filled.database.connect(INGEST) as connection:
        connection.execute(change)
    layers = ("path:models/staging", "path:models/intermediate")
    assert set(filled.dbt("run", "--select", *layers).values()) == {"success"}
    with filled.database.connect(INGEST) as connection:
        connection.execute(back)
    assert run(filled) == before
    land(filled, range(5), rng)
    assert run(filled) == run(filled, "--full-refresh")


def test_deployments_loaded_during_a_build_are_completed_by_the_next(filled: Warehouse) -> None:
    rng = random.Random(11)
    deploy(filled, rng)
    filled.build(after={"int_deliveries_compared": lambda: deploy(filled, rng)})
    filled.build(after={"int_deployments_numbered": lambda: deploy(filled, rng)})
    assert run(filled) == run(filled, "--full-refresh")


def test_ingest_during_a_build_is_completed_by_the_next(filled: Warehouse) -> None:
    rng = random.Random(9)
    before = marts(filled)
    land(filled, range(0, 40), rng)
    filled.insert(pull_requests=[pull_request(500, "stranger", "2026-02-01T00:00Z")])

    def land_more() -> None:
        land(filled, range(20, 60), rng)
        cover_more(filled, rng)
        rename_repository(filled, rng)
        filled.insert(
            pull_requests=[pull_request(501, "p0", "2025-01-01T00:00Z", repository_id="R_0")],
            user_logins=[{"user_id": "U_stranger", "login": person} for person in PEOPLE],
        )

    def land_even_more() -> None:
        land(filled, range(50, 80), rng)
        configure(filled, rng)

    names: LiteralString = "select distinct repository from marts.fct_pull_requests order by 1"
    named = filled.rows(names)
    filled.build(
        after={
            "int_build_scoped": land_more,
            "int_pull_requests_measured": land_even_more,
        }
    )
    built = marts(filled)
    for mart in ("dim_teams", "dim_team_memberships"):
        assert built[mart] == before[mart]
    assert filled.rows("select from marts.dim_build where data_from < '2026-01-01Z'") == []
    assert filled.rows(names) == named
    assert filled.rows("select from marts.fct_pull_requests where number >= 500") == []
    usual = run(filled)
    assert filled.rows("select from marts.fct_pull_requests where number = 500") != []
    assert usual == run(filled, "--full-refresh")


def test_a_build_after_a_crash_of_the_server_computes_everything(filled: Warehouse) -> None:
    """A crash empties the unlogged tables."""
    before = marts(filled)
    land(filled, range(30, 50), random.Random(10))
    with filled.database.connect() as connection:
        unlogged = connection.execute(
            "select oid::regclass::text from pg_class where relkind = 'r' and relpersistence = 'u'"
        ).fetchall()
        for (table,) in unlogged:
            connection.execute(f"truncate {table}".encode())
    usual = run(filled)
    assert usual != before
    assert len(changed(filled)) > 100
    assert usual == run(filled, "--full-refresh")


def test_rebuilding_a_table_from_changed_rows_only_is_refused(filled: Warehouse) -> None:
    run(filled)
    (one,) = filled.results("run", "--full-refresh", "--select", "int_pull_requests_measured")
    assert one.status == "error"
    assert "add --full-refresh --select +int_pull_requests_measured" in one.message


@pytest.mark.parametrize(
    "table",
    [
        "marts.fct_team_pull_requests",
        "intermediate.int_pull_requests_measured",
        "intermediate.int_pull_requests_attributed",
        "intermediate.int_reviews_counted",
        "intermediate.int_builds_published",
    ],
)
def test_dropped_table_is_recreated(filled: Warehouse, table: LiteralString) -> None:
    land(filled, range(20), random.Random(table))
    with filled.database.connect() as connection:
        connection.execute(f"drop table {table} cascade".encode())
    usual = run(filled)
    assert usual == run(filled, "--full-refresh")
