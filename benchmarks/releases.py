"""Real commit graphs and tags: which release first has a pull request, by places and by dates.

The facts are in `tests/reference/data`; a commit is named by its place in the list, a parent by how
far before it.
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
    """Return the repositories of this name."""
    read: dict[str, Row] = json.loads(
        gzip.decompress((DATA / f"{name}_releases.json.gz").read_bytes())
    )
    return read


def contains(one: Place, other: Place) -> bool:
    """Whether `other` is `one` or an ancestor of it, as SQL decides it."""
    if other.landed is not None and one.fork is not None and other.landed <= one.fork:
        return True
    if other.line is None or other.line_position is None:
        return False
    if one.line == other.line and one.line_position is not None:
        return other.line_position <= one.line_position
    return other.line_position <= (one.reach or {}).get(other.line, -1)


def first_releases(of: Row, rule: str, tip: int) -> dict[int, str | None]:
    """Name the first release with each pull request, or say that it is in the first of all.

    `tip` is what the graph takes for the default branch's commit. Those that no release has are
    None, those whose commit is not known are left out.
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
    """Return what git says to the same question."""
    return {
        number: of["tags"][tag][0] if isinstance(tag, int) else (BEFORE if tag == BEFORE else None)
        for (number, place, _), tag in zip(
            of["pull_requests"], of["rules"][rule]["shipped"], strict=True
        )
        if place is not None and place >= 0
    }


def by_date(of: Row, rule: str) -> dict[int, str | None]:
    """Name the first release whose instant is not before the merge, as other tools do."""
    later = [of["tags"][tag] for tag, kind in of["rules"][rule]["deployments"] if kind == "deploy"]
    return {
        number: next((name for name, _, when in later if when >= merged), None)
        for number, _, merged in of["pull_requests"]
    }


def _sha(place: int) -> str:
    return f"{place:040x}"
