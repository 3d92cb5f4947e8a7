"""A build works out what has changed since the one before, and comes to what one from nothing does.

Each test changes `raw` as an ingest would, builds as usual, then with `--full-refresh`.
"""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, LiteralString

import pytest
from dbt_support import Row, Warehouse, membership, pull_request, repository
from random_edits import EDITS, PEOPLE, configure, cover_more, land, rename_repository, vanish

from dora.roles import INGEST

KEYS: dict[str, LiteralString] = {
    "fct_pull_requests": "select * from marts.fct_pull_requests",
    "fct_team_pull_requests": "select * from marts.fct_team_pull_requests",
    "fct_team_velocity_weekly": "select * from marts.fct_team_velocity_weekly",
    "fct_team_lead_time_monthly": "select * from marts.fct_team_lead_time_monthly",
    "dim_teams": "select * from marts.dim_teams",
    "dim_team_memberships": "select * from marts.dim_team_memberships",
    "dim_build": """
        select as_of, data_from, history_from, reporting_timezone, attribution_instant
        from marts.dim_build
    """,
}
CONFIGURED = ("dim_teams", "dim_team_memberships")
Marts = dict[str, list[str]]


def marts(warehouse: Warehouse) -> Marts:
    """Every row of every mart."""
    return {
        name: sorted(repr(row) for row in warehouse.rows(query)) for name, query in KEYS.items()
    }


def run(warehouse: Warehouse, *arguments: str) -> Marts:
    assert set(warehouse.dbt("run", *arguments).values()) == {"success"}
    return marts(warehouse)


def touched(warehouse: Warehouse) -> set[str]:
    """The pull requests that the last build worked out anew."""
    with warehouse.database.connect() as connection:
        rows = connection.execute(
            "select pull_request_id from intermediate.int_pull_requests_touched"
        ).fetchall()
    return {row[0] for row in rows}


@pytest.fixture(scope="module")
def filled(warehouse: Warehouse) -> Warehouse:
    """120 pull requests of twelve people in three teams, built; each test goes on from the last."""
    rng = random.Random(1)
    warehouse.insert(
        repositories=[
            repository(f"acme/r{n}", id=f"R_{n}", covered_to="2026-04-15T00:00Z") for n in range(3)
        ]
    )
    configure(warehouse, rng)
    land(warehouse, range(120), rng)
    run(warehouse)
    return warehouse


@pytest.mark.parametrize("seed", [2, *(pytest.param(n, marks=pytest.mark.long) for n in (3, 4, 5))])
def test_after_random_edits_a_build_is_what_one_from_nothing_is(
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


def authors(warehouse: Warehouse, *ids: str) -> set[str]:
    """The ids of the pull requests of people."""
    with warehouse.database.connect(INGEST) as connection:
        rows = connection.execute(
            "select id from raw.pull_requests where author_id = any(%s)", [list(ids)]
        ).fetchall()
    return {row[0] for row in rows}


def row_versions(warehouse: Warehouse) -> list[Row]:
    """Which transaction wrote each row of the facts."""
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
    """One of those that the configuration has now."""
    (row,) = warehouse.rows("select min(team_id) as team_id from marts.dim_teams")
    return str(row["team_id"])


def test_only_what_has_changed_is_worked_out_anew(filled: Warehouse) -> None:
    before = row_versions(filled)
    run(filled)
    assert touched(filled) == set()
    assert row_versions(filled) == before

    land(filled, [3, 77], random.Random(6))
    run(filled)
    assert touched(filled) == {"PR_3", "PR_77"}

    filled.insert(
        team_memberships=[
            membership(a_team(filled), "outsider", "1.0", "2025-01-01T00:00Z", "2026-02-01T00:00Z")
        ],
    )
    run(filled)
    expected = authors(filled, "U_outsider")
    assert expected <= touched(filled)
    assert touched(filled) - expected <= authors_without_id(filled)


def statistics_taken(warehouse: Warehouse) -> list[Any]:
    """When a build last took the planner's statistics of each fact table."""
    return [
        row["last_analyze"]
        for row in warehouse.rows(
            """
            select last_analyze from pg_stat_user_tables
            where relid in (
                'marts.fct_pull_requests'::regclass, 'marts.fct_team_pull_requests'::regclass
            )
            order by relname
            """
        )
    ]


def test_statistics_are_taken_where_a_build_puts_in_more_than_a_tenth(filled: Warehouse) -> None:
    before = statistics_taken(filled)
    assert None not in before
    land(filled, [3, 77], random.Random(7))
    run(filled)
    assert statistics_taken(filled) == before
    land(filled, range(60), random.Random(8))
    run(filled)
    assert all(new > old for new, old in zip(statistics_taken(filled), before, strict=True))


def test_every_part_of_a_window_tells_and_a_repositorys_name(filled: Warehouse) -> None:
    """One part of the windows of each of four people; of a fifth, only the later of two."""
    changes: list[LiteralString] = [
        "allocation_weight = 0.9",
        "joined_at = joined_at - interval '1 minute'",
        "left_at = '2027-01-01Z'",
        "team_id = (select min(team_id) from raw.teams where team_id <> team_memberships.team_id)",
    ]
    team = a_team(filled)
    filled.insert(
        pull_requests=[pull_request(510, "zoe", "2026-02-01T00:00Z")],
        team_memberships=[membership(team, "zoe", "1.0", "2025-01-01T00:00Z", "2026-02-01T00:00Z")],
    )
    run(filled)
    with filled.database.connect(INGEST) as connection:
        names = "select distinct github_username from raw.team_memberships order by 1 limit 5"
        people = [row[0] for row in connection.execute(names) if row[0] in PEOPLE][:4]
        for person, change in zip(people, changes, strict=True):
            connection.execute(
                f"update raw.team_memberships set {change} where github_username = %s".encode(),
                [person],
            )
        connection.execute("update raw.repositories set repository = 'acme/x' where id = 'R_1'")
        found = connection.execute("select id from raw.pull_requests where repository_id = 'R_1'")
        of_repository = {row[0] for row in found}
    filled.insert(team_memberships=[membership(team, "zoe", "1.0", "2026-03-01T00:00Z")])

    assert set(filled.dbt("run", "--select", "+int_pull_requests_touched").values()) == {"success"}
    again = touched(filled)
    for person in (*people, "zoe"):
        of_person = authors(filled, f"U_{person}")
        assert of_person, person
        assert of_person <= again, person
    assert of_repository <= again
    assert None not in again


def test_other_sql_and_another_raw_table_touch_everything(
    filled: Warehouse, tmp_path: Path
) -> None:
    before = run(filled)
    other = replace(filled, project=tmp_path / "project", target=tmp_path / "target")
    shutil.copytree(filled.project, other.project)
    with (other.project / "models/marts/dim_teams.sql").open("a", encoding="utf-8") as model:
        model.write("-- Otherwise.\n")
    assert set(other.dbt("run", "--select", "+int_pull_requests_touched").values()) == {"success"}
    assert None in touched(filled)

    alone = filled.rows(
        """
        select shares.pull_request_id
        from marts.fct_team_pull_requests as shares
        inner join marts.fct_team_velocity_weekly as weeks
            on shares.team_id = weeks.team_id and shares.week = weeks.week
        where weeks.prs_merged = 1
        order by 1
        """
    )
    gone = alone[0]["pull_request_id"]
    with filled.database.connect(INGEST) as connection:
        connection.execute("create table raw.others (like raw.pull_requests including all)")
        connection.execute(
            "insert into raw.others select * from raw.pull_requests where id <> %s", [gone]
        )
        connection.execute("alter sequence raw.changes owned by raw.others.change_number")
        connection.execute("drop table raw.pull_requests cascade")
        connection.execute("alter table raw.others rename to pull_requests")
    usual = run(filled)
    assert None in touched(filled)
    assert usual != before
    assert usual == run(filled, "--full-refresh")


def authors_without_id(warehouse: Warehouse) -> set[str]:
    with warehouse.database.connect(INGEST) as connection:
        rows = connection.execute(
            "select id from raw.pull_requests where author_id is null"
        ).fetchall()
    return {row[0] for row in rows}


def test_what_a_build_of_some_models_leaves_is_done_by_the_next(filled: Warehouse) -> None:
    """As where a build fails half-way, with an ingest before the next."""
    rng = random.Random(7)
    land(filled, range(0, 60), rng)
    vanish(filled, rng)
    assert set(filled.dbt("run", "--select", "+fct_pull_requests").values()) == {"success"}
    land(filled, range(40, 70), rng)
    configure(filled, rng)
    # Of the rollups the weeks alone: the months are still to be done.
    weeks = "+fct_team_velocity_weekly"
    assert set(filled.dbt("run", "--select", weeks).values()) == {"success"}
    usual = run(filled)
    assert usual == run(filled, "--full-refresh")


def test_what_lands_while_a_build_is_under_way_is_done_by_the_next(filled: Warehouse) -> None:
    rng = random.Random(9)
    repository_names = "select distinct repository from marts.fct_pull_requests order by 1"
    before = run(filled)
    land(filled, range(0, 40), rng)
    filled.insert(pull_requests=[pull_request(500, "stranger", "2026-02-01T00:00Z")])
    first = ("+int_pull_requests_touched", "+int_coverage_measured")
    then = "int_pull_requests_tracked"
    assert set(filled.dbt("run", "--select", *first).values()) == {"success"}
    (covered,) = coverage(filled)
    names = filled.rows(repository_names)
    land(filled, range(20, 60), rng)
    cover_more(filled, rng)
    rename_repository(filled, rng)
    filled.insert(
        pull_requests=[pull_request(501, "p0", "2025-01-01T00:00Z", repository_id="R_0")],
        user_logins=[{"user_id": "U_stranger", "login": person} for person in PEOPLE],
    )
    assert set(filled.dbt("run", "--select", then).values()) == {"success"}
    land(filled, range(50, 80), rng)
    configure(filled, rng)
    assert set(filled.dbt("run", "--exclude", *first, then).values()) == {"success"}
    built = marts(filled)
    assert {name: built[name] for name in CONFIGURED} == {name: before[name] for name in CONFIGURED}
    (built_of,) = filled.rows("select as_of, data_from, history_from from marts.dim_build")
    assert tuple(built_of.values()) == covered
    assert filled.rows(repository_names) == names
    assert filled.rows("select from marts.fct_pull_requests where number = 500") == []
    usual = run(filled)
    assert filled.rows("select from marts.fct_pull_requests where number = 500") != []
    assert usual == run(filled, "--full-refresh")


def coverage(warehouse: Warehouse) -> list[Any]:
    with warehouse.database.connect() as connection:
        query = "select as_of, data_from, history_from from intermediate.int_coverage_measured"
        return connection.execute(query).fetchall()


def crash(warehouse: Warehouse) -> None:
    """Leave of the tables what a crash of the server leaves: the unlogged ones are empty."""
    with warehouse.database.connect() as connection:
        unlogged = connection.execute(
            "select oid::regclass::text from pg_class where relkind = 'r' and relpersistence = 'u'"
        ).fetchall()
        for (table,) in unlogged:
            connection.execute(f"truncate {table}".encode())


def test_what_a_crash_has_made_forgotten_is_done_by_the_next(filled: Warehouse) -> None:
    """Half-way through a build, which somebody goes on with."""
    before = run(filled)
    land(filled, range(30, 50), random.Random(10))
    first = "+int_pull_requests_tracked"
    assert set(filled.dbt("run", "--select", first).values()) == {"success"}
    crash(filled)
    assert set(filled.dbt("run", "--exclude", first).values()) == {"success"}
    rest = ("fct_pull_requests", "fct_team_pull_requests")
    assert {name: marts(filled)[name] for name in rest} == {name: before[name] for name in rest}
    assert run(filled) != before
    assert None in touched(filled)


def test_a_mart_made_anew_on_its_own_says_what_it_needs(filled: Warehouse) -> None:
    run(filled)
    statuses = filled.dbt("run", "--full-refresh", "--select", "fct_pull_requests")
    assert statuses == {"fct_pull_requests": "error"}
    before = marts(filled)
    arguments = ("--full-refresh", "--select", "+fct_team_pull_requests")
    assert set(filled.dbt("run", *arguments).values()) == {"success"}
    assert run(filled) == before


@pytest.mark.parametrize(
    "table", ["marts.fct_team_pull_requests", "intermediate.int_team_periods_touched"]
)
def test_what_somebody_has_dropped_is_made_again(filled: Warehouse, table: LiteralString) -> None:
    before = marts(filled)
    land(filled, range(20), random.Random(table))
    assert set(filled.dbt("run", "--select", "+fct_team_pull_requests").values()) == {"success"}
    with filled.database.connect() as connection:
        connection.execute(f"drop table {table} cascade".encode())
    land(filled, [30], random.Random(table))
    usual = run(filled)
    assert usual != before
    assert usual == run(filled, "--full-refresh")
