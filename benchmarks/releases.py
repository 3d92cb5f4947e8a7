"""Real commit graphs and tags: the first release with a pull request, by ancestry and by dates.

The data is in `tests/reference/data`. A commit is identified by its index in the list, a parent by
its distance before the commit.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from ingest.commit_graph import Graph, Place

DATA = Path(__file__).resolve().parents[1] / "tests" / "reference" / "data"
RULES = [
    ("devlake", "all"),
    ("devlake", "stable"),
    ("datasette", "all"),
    ("datasette", "stable"),
    ("ietf", "all"),
]
BEFORE = "before_first_deployment"
Row = dict[str, Any]


@cache
def facts(name: str) -> dict[str, Row]:
    """Return the repositories of the data set with this name."""
    read: dict[str, Row] = json.loads(
        gzip.decompress((DATA / f"{name}_releases.json.gz").read_bytes())
    )
    return read


def contains(one: Place, other: Place) -> bool:
    """Whether `other` is `one` or an ancestor of it, by the rule of our SQL."""
    if other.landed is not None and one.fork is not None and other.landed <= one.fork:
        return True
    if other.line is None or other.line_position is None:
        return False
    if one.line == other.line and one.line_position is not None:
        return other.line_position <= one.line_position
    return other.line_position <= (one.reach or {}).get(other.line, -1)


def first_releases(of: Row, rule: str, tip: int) -> dict[int, str | None]:
    """Return the first release with each pull request, or `BEFORE` if it is in the very first.

    `tip` is the default branch's commit in the graph. A pull request in no release has None; one
    whose commit is unknown is left out.
    """
    commits = (
        (_sha(place), [_sha(place - back) for back in parents])
        for place, parents in enumerate(of["parents"])
    )
    places = dict(Graph(commits, _sha(tip)).places())
    releases = [
        (of["tags"][tag][0], kind, places[_sha(of["tags"][tag][1])])
        for tag, kind in of["rules"][rule]["deployments"]
        if kind in {"first", "deploy"}
    ]
    found: dict[int, str | None] = {}
    for number, place, _ in of["pull_requests"]:
        if place is None or place < 0:
            continue
        merged = places[_sha(place)]
        having = ((tag, kind) for tag, kind, release in releases if contains(release, merged))
        tag, kind = next(having, (None, None))
        found[number] = BEFORE if kind == "first" else tag
    return found


def named_by_git(of: Row, rule: str) -> dict[int, str | None]:
    """Return the same, determined by git."""
    return {
        number: of["tags"][tag][0] if isinstance(tag, int) else (BEFORE if tag == BEFORE else None)
        for (number, place, _), tag in zip(
            of["pull_requests"], of["rules"][rule]["shipped"], strict=True
        )
        if place is not None and place >= 0
    }


def by_date(of: Row, rule: str) -> dict[int, str | None]:
    """Return the first release at or after the merge, as other tools do."""
    later = [of["tags"][tag] for tag, kind in of["rules"][rule]["deployments"] if kind == "deploy"]
    return {
        number: next((name for name, _, when in later if when >= merged), None)
        for number, _, merged in of["pull_requests"]
    }


def _sha(place: int) -> str:
    return f"{place:040x}"
