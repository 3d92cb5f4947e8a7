"""Random changes that an ingest may make to `raw` between two builds."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from dbt_support import Row, Warehouse, draft_events, membership, pull_request, review
from psycopg import Connection

from dora.roles import INGEST

START = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = [f"p{number}" for number in range(12)]
TEAMS = ("core", "web", "data")


def written(number: int, rng: random.Random) -> tuple[Row, list[Row], list[Row]]:
    """A random pull request with reviews and draft events."""
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
        labels=["bug", "docs", "size: L"][: ended.minute % 4],
        merge_commit_sha=f"c{number}" if fate == "merged" else None,
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
    """Load pull requests as dlt does: delete the old rows and insert new ones."""
    for number in numbers:
        with warehouse.database.connect(INGEST) as connection:
            forget(connection, number)
        row, reviews, events = written(number, rng)
        warehouse.insert(
            pull_requests=[row], pull_request_reviews=reviews, pull_request_draft_events=events
        )


def configure(warehouse: Warehouse, rng: random.Random) -> None:
    """Replace the team configuration by a random one, as dlt does."""
    teams = rng.sample(TEAMS, rng.randrange(2, len(TEAMS) + 1))
    windows = []
    for team in teams:
        for person in rng.sample(PEOPLE, 7):
            joined = START + timedelta(days=rng.randrange(40))
            left = joined + timedelta(days=rng.randrange(1, 60))
            weight = rng.choice(["0.0", "0.3", "0.5", "1.0"])
            leaves = rng.choice([None, left.isoformat()])
            windows.append(membership(team, person, weight, joined.isoformat(), leaves))
    groups = [
        {
            "team_id": team,
            "group_id": group,
            "name": group.title(),
            "parent_group_id": "all",
            "left_at": rng.choice([None, START + timedelta(days=rng.randrange(60))]),
        }
        for team in teams
        for group in rng.sample(["eng", "ops"], rng.randrange(3))
    ]
    with warehouse.database.connect(INGEST) as connection:
        connection.execute("delete from raw.team_groups")
        connection.execute("delete from raw.team_memberships")
        connection.execute("delete from raw.teams")
    warehouse.insert(
        teams=[{"team_id": team, "name": team.title()} for team in teams],
        team_memberships=windows,
        team_groups=groups,
    )


def vanish(warehouse: Warehouse, rng: random.Random) -> None:
    """Mark random pull requests as vanished, as `ingest.reconciliation` does."""
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
    """Record a configured login with another person's id."""
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


def history(repositories: int, commits: int) -> list[Row]:
    """Rows of raw.commits: the same sequence of merges in each repository."""
    return [
        {
            "repository_id": f"R_{repository}",
            "sha": f"c{number}",
            "parents": "",
            "committed_at": START,
            "landed": number,
            "fork": number,
        }
        for repository in range(repositories)
        for number in range(commits)
    ]


def deploy(warehouse: Warehouse, rng: random.Random) -> None:
    """Insert some deployments of random commits, and an incident."""
    for _ in range(5):
        repository, key = rng.randrange(3), f"{rng.getrandbits(64)}"
        requested = START + timedelta(minutes=rng.randrange(100 * 24 * 60))
        succeeded = requested + timedelta(minutes=rng.randrange(600))
        warehouse.insert(
            deployments=[
                {
                    "id": f"DE_{key}",
                    "repository_id": f"R_{repository}",
                    "environment": "production",
                    "task": "deploy",
                    "commit_sha": f"c{rng.randrange(120)}",
                    "created_at": requested,
                }
            ],
            deployment_statuses=[
                {
                    "id": f"DES_{key}",
                    "deployment_id": f"DE_{key}",
                    "state": "SUCCESS",
                    "created_at": succeeded,
                    "position": 0,
                }
            ],
            incidents=[
                {
                    "source": "file",
                    "id": key,
                    "repository": f"acme/r{repository}",
                    "started_at": succeeded + timedelta(hours=1),
                    "resolved_at": succeeded + timedelta(hours=9),
                }
            ],
        )


EDITS: list[Callable[[Warehouse, random.Random], None]] = [
    lambda warehouse, rng: land(warehouse, rng.sample(range(140), 15), rng),
    vanish,
    configure,
    rename_repository,
    rename_somebody,
    cover_more,
    deploy,
]
