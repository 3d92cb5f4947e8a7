"""A build works out what has changed since the one before, and comes to what one from nothing does.

Each test changes `raw` as an ingest would, builds as usual, then with `--full-refresh`.
"""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import pytest
from dbt_support import (
    Row,
    Warehouse,
    draft_events,
    membership,
    pull_request,
    repository,
    review,
)
from psycopg import Connection

from dora.roles import INGEST

START = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = [f"p{number}" for number in range(12)]
TEAMS = ("core", "web", "data")
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


def written(number: int, rng: random.Random) -> tuple[Row, list[Row], list[Row]]:
    """A pull request with reviews and draft events, all of it by chance."""
    created = START + timedelta(minutes=rng.randrange(90 * 24 * 60))
    ended = created + timedelta(minutes=rng.randrange(20_000))
    fate = rng.choice(["open", "closed", "merged", "merged", "merged"])
    author = rng.choice([*PEOPLE, "outsider", None])
    row = pull_request(
        number,
        author,
        created.isoformat(),
        ended.isoformat() if fate == "merged" else None,
        first_commit_at=rng.choice([None, created - timedelta(hours=rng.randrange(90))]),
        is_draft=rng.random() < 0.1,
    )
    if rng.random() < 0.1:
        row |= {"author_id": None}
    if fate == "closed":
        row |= {"state": "CLOSED", "closed_at": ended}
    repo = rng.randrange(3)
    row |= {"repository_id": f"R_{repo}", "repository": f"acme/r{repo}"}
    reviews = [
        review(number, rng.choice(PEOPLE), (created + timedelta(minutes=minutes)).isoformat())
        for minutes in rng.sample(range(20_000), rng.randrange(3))
    ]
    switched = (created + timedelta(hours=2)).isoformat()
    events = draft_events(number, ("ready_for_review", switched)) if rng.random() < 0.3 else []
    return row, reviews, events


def forget(connection: Connection[Any], number: int) -> None:
    key = f"PR_{number}"
    for table in ("pull_request_reviews", "pull_request_draft_events"):
        connection.execute(f"delete from raw.{table} where pull_request_id = %s".encode(), [key])
    connection.execute("delete from raw.pull_requests where id = %s", [key])


def land(warehouse: Warehouse, numbers: Iterable[int], rng: random.Random) -> None:
    """As dlt lands: what is there is deleted and inserted anew."""
    for number in numbers:
        with warehouse.database.connect(INGEST) as connection:
            forget(connection, number)
        row, reviews, events = written(number, rng)
        warehouse.insert(
            pull_requests=[row], pull_request_reviews=reviews, pull_request_draft_events=events
        )


def configure(warehouse: Warehouse, rng: random.Random) -> None:
    """Another team configuration, as dlt replaces it."""
    teams = rng.sample(TEAMS, rng.randrange(2, len(TEAMS) + 1))
    windows = []
    for team in teams:
        for person in rng.sample(PEOPLE, 7):
            joined = START + timedelta(days=rng.randrange(40))
            left = joined + timedelta(days=rng.randrange(1, 60))
            weight = rng.choice(["0.0", "0.3", "0.5", "1.0"])
            leaves = rng.choice([None, left.isoformat()])
            windows.append(membership(team, person, weight, joined.isoformat(), leaves))
    with warehouse.database.connect(INGEST) as connection:
        connection.execute("delete from raw.team_memberships")
        connection.execute("delete from raw.teams")
    warehouse.insert(
        teams=[{"team_id": team, "name": team.title()} for team in teams],
        team_memberships=windows,
    )


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


def vanish(warehouse: Warehouse, rng: random.Random) -> None:
    """As `ingest.audit` says that a pull request is gone."""
    with warehouse.database.connect(INGEST) as connection:
        connection.execute(
            """
            update raw.pull_requests
            set vanished_at = '2026-04-01Z', change_number = default
            where id = any(%s)
            """,
            [[f"PR_{number}" for number in rng.sample(range(120), 5)]],
        )


def rename_repository(warehouse: Warehouse, rng: random.Random) -> None:
    with warehouse.database.connect(INGEST) as connection:
        connection.execute(
            "update raw.repositories set repository = %s where id = %s",
            [f"acme/renamed{rng.random()}", f"R_{rng.randrange(3)}"],
        )


def rename_somebody(warehouse: Warehouse, rng: random.Random) -> None:
    """A login that a team names is seen with another person's id."""
    person, login = rng.sample(PEOPLE, 2)
    warehouse.insert(user_logins=[{"user_id": f"U_{person}", "login": f"{login.upper()}"}])


def cover_more(warehouse: Warehouse, rng: random.Random) -> None:
    with warehouse.database.connect(INGEST) as connection:
        connection.execute(
            "update raw.repositories set covered_to = %s, covered_from = %s",
            [
                START + timedelta(days=rng.randrange(90, 130)),
                rng.choice([None, START + timedelta(days=rng.randrange(30))]),
            ],
        )


EDITS: list[Callable[[Warehouse, random.Random], None]] = [
    lambda warehouse, rng: land(warehouse, rng.sample(range(140), 15), rng),
    vanish,
    configure,
    rename_repository,
    rename_somebody,
    cover_more,
]


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


def test_only_what_has_changed_is_worked_out_anew(filled: Warehouse) -> None:
    run(filled)
    assert touched(filled) == set()

    land(filled, [3, 77], random.Random(6))
    run(filled)
    assert touched(filled) == {"PR_3", "PR_77"}

    filled.insert(
        team_memberships=[membership("web", "outsider", "1.0", "2025-01-01T00:00Z")],
    )
    run(filled)
    expected = authors(filled, "U_outsider")
    assert expected <= touched(filled)
    assert touched(filled) - expected <= authors_without_id(filled)


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
    assert set(filled.dbt("run", "--select", "+fct_team_pull_requests").values()) == {"success"}
    configure(filled, rng)
    usual = run(filled)
    assert usual == run(filled, "--full-refresh")


def test_what_lands_while_a_build_is_under_way_is_done_by_the_next(filled: Warehouse) -> None:
    rng = random.Random(9)
    land(filled, range(0, 40), rng)
    first, then = "+int_pull_requests_touched", "int_pull_requests_tracked"
    assert set(filled.dbt("run", "--select", first).values()) == {"success"}
    land(filled, range(20, 60), rng)
    assert set(filled.dbt("run", "--select", then).values()) == {"success"}
    land(filled, range(50, 80), rng)
    configure(filled, rng)
    assert set(filled.dbt("run", "--exclude", first, then).values()) == {"success"}
    usual = run(filled)
    assert usual == run(filled, "--full-refresh")


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
    land(filled, [5], random.Random(table))
    assert set(filled.dbt("run", "--select", "+fct_team_pull_requests").values()) == {"success"}
    with filled.database.connect() as connection:
        connection.execute(f"drop table {table} cascade".encode())
    usual = run(filled)
    assert usual != before
    assert usual == run(filled, "--full-refresh")
