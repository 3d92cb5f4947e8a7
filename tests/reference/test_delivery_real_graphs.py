"""Real commit graphs: the first release with a pull request is the same as in git."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.reference.delivery import Commit, Delivery, PullRequest, Rule, Tag, World, delivery

DATA = Path(__file__).parent / "data"
# The share of pull requests whose first release by date is not the one that contains them.
WRONG_BY_DATE = {
    ("devlake", "all"): 0.677,
    ("devlake", "stable"): 0.651,
    ("datasette", "all"): 0.112,
    ("datasette", "stable"): 0.301,
    ("ietf", "all"): 0.005,
}
REAL = pytest.mark.parametrize(("name", "rule"), WRONG_BY_DATE)

Row = dict[str, Any]


@cache
def facts(name: str) -> dict[str, Row]:
    read: dict[str, Row] = json.loads(
        gzip.decompress((DATA / f"{name}_releases.json.gz").read_bytes())
    )
    return read


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def world(repository: str, of: Row, rule: str) -> World:
    """Make a world in which each tag of a rule is a deployment; commits are named by position."""
    tags = [of["tags"][place] for place, _ in of["rules"][rule]["deployments"]]
    return World(
        repositories={repository: "main"},
        teams=(),
        rules=(Rule(repositories=("*",), source="tags"),),
        commits=tuple(
            Commit(
                repository=repository,
                sha=str(place),
                parents=tuple(str(place - back) for back in parents),
                committed_at=at(0),
            )
            for place, parents in enumerate(of["parents"])
        ),
        tags=tuple(
            Tag(id=tag, repository=repository, name=tag, commit_sha=str(place), tagged_at=at(when))
            for tag, place, when in tags
        ),
        pull_requests=tuple(
            PullRequest(
                id=str(number),
                repository=repository,
                number=number,
                author=None,
                created_at=at(when),
                merged_at=at(when),
                merge_commit_sha=None if place is None else str(place),
            )
            for number, place, when in of["pull_requests"]
        ),
    )


@cache
def deliveries(name: str, rule: str) -> list[tuple[Row, Delivery]]:
    return [(of, delivery(world(repository, of, rule))) for repository, of in facts(name).items()]


@REAL
def test_the_first_release_with_a_pull_request_is_the_same_as_in_git(name: str, rule: str) -> None:
    for of, done in deliveries(name, rule):
        expected = {
            number: of["tags"][tag][0] if isinstance(tag, int) else tag
            for (number, _, _), tag in zip(
                of["pull_requests"], of["rules"][rule]["shipped"], strict=True
            )
        }
        found = {
            number: row["deployment_id"] or row["not_deployed_reason"]
            for (_, number), row in done.changes.items()
        }
        assert found == expected


@REAL
def test_kinds_and_numbers_of_added_pull_requests_equal_git(name: str, rule: str) -> None:
    for of, done in deliveries(name, rule):
        rows = done.deployments.values()
        found = [(row["deployment_id"], row["kind"], row["changes_added"]) for row in rows]
        shipped = Counter(of["rules"][rule]["shipped"])
        assert found == [
            (of["tags"][place][0], kind, shipped[place])
            for place, kind in of["rules"][rule]["deployments"]
        ]


@REAL
def test_matching_by_date_would_find_another_release(name: str, rule: str) -> None:
    compared = wrong = 0
    for of in facts(name).values():
        later = [
            of["tags"][place][2]
            for place, kind in of["rules"][rule]["deployments"]
            if kind == "deploy"
        ]
        for (_, place, merged), tag in zip(
            of["pull_requests"], of["rules"][rule]["shipped"], strict=True
        ):
            if place in (None, -1) or tag == "before_first_deployment":
                continue
            by_date = next((when for when in later if when >= merged), None)
            compared += 1
            wrong += by_date != (of["tags"][tag][2] if isinstance(tag, int) else None)
    print(f"{name}, {rule}: by date {wrong} of {compared} are wrong, {wrong / compared:.1%}")
    assert wrong / compared == pytest.approx(WRONG_BY_DATE[name, rule], abs=0.0006)
