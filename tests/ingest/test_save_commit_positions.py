"""After an ingest, raw.commits has each commit's place in its repository's graph."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.github import GitHub
from demo.model import Repository
from dora.database import Database
from ingest.commit_graph import Graph
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import rows

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
COLUMNS = ("landed", "fork", "line", "line_position", "reach")


def placed(database: Database) -> dict[str, tuple[Any, ...]]:
    found = rows(database, f"select sha, {', '.join(COLUMNS)} from raw.commits")
    return {row["sha"]: tuple(row[name] for name in COLUMNS) for row in found}


def expected(repository: Repository) -> dict[str, tuple[Any, ...]]:
    commits = [(one.oid, one.parent_oids) for one in repository.commits.values()]
    graph = Graph(commits, repository.branches[repository.default_branch])
    return {sha: tuple(place) for sha, place in graph.places()}


@pytest.fixture
def github() -> GitHub:
    return GitHub()


def test_commits_have_their_places_and_others_once_the_default_branch_is_rewritten(
    ingest: Callable[..., RunResult], database: Database, github: GitHub
) -> None:
    clock = SimulatedClock(START + timedelta(days=2))
    shop = github.create_repository("acme/shop", START)
    release = ""
    for hour in range(6):
        at = START + timedelta(hours=hour)
        commit = github.add_commit(shop, at, branch="main")
        if hour == 2:
            shop.branches["v1"] = commit.oid
            release = github.add_commit(shop, at, branch="v1").oid
    for oid in (release, shop.branches["main"]):
        github.add_status(github.deploy(shop, START, oid), START, "SUCCESS")
    assert ingest(repositories="acme/shop", clock=clock).exit_code == 0
    first = placed(database)
    assert first == expected(shop)
    assert first[release][0] is None
    github.rewrite_default_branch(shop, clock.now(), 2)
    assert ingest(repositories="acme/shop", clock=clock).exit_code == 0
    now_placed = placed(database)
    assert now_placed == expected(shop)
    assert any(now_placed[sha] != first[sha] for sha in first)
