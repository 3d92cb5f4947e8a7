"""Places of commits give the same containment as a walk over the graph."""

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import releases
from benchmarks.releases import contains
from ingest.commit_graph import Graph, Place

Commits = dict[str, tuple[str, ...]]


def ancestors(commits: Mapping[str, Sequence[str]], sha: str) -> set[str]:
    found, waiting = set(), [sha]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(commits.get(one, ()))
    return found


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Commits, str]:
    """Draw up to 25 commits with up to three parents and possibly several roots, and a tip."""
    size = draw(st.integers(1, 25))
    shas = [f"{n:040x}" for n in range(size)]
    commits: Commits = {}
    for n, sha in enumerate(shas):
        parents = (
            draw(st.lists(st.sampled_from(shas[max(0, n - 6) : n]), max_size=3, unique=True))
            if n
            else []
        )
        commits[sha] = tuple(parents)
    return commits, draw(st.sampled_from(shas))


@settings(max_examples=400, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_places_say_what_contains_what(drawn: tuple[Commits, str], rng: random.Random) -> None:
    commits, tip = drawn
    rows = list(commits.items())
    rng.shuffle(rows)
    places = dict(Graph(rows, tip).places())
    assert set(places) == set(commits)
    for one in commits:
        assert {other for other in commits if contains(places[one], places[other])} == ancestors(
            commits, one
        )


def test_places_of_the_trunk_stay_as_it_grows() -> None:
    """A new commit must not change every row of raw.commits."""
    shas = [f"{n:040x}" for n in range(10)]
    commits = [(sha, (parent,)) for parent, sha in pairwise(shas)]
    before = dict(Graph([(shas[0], ()), *commits[:5]], shas[5]).places())
    after = dict(Graph([(shas[0], ()), *commits], shas[9]).places())
    assert {sha: after[sha] for sha in before} == before


def test_an_unknown_tip_leaves_lines_alone() -> None:
    one, other = "a" * 40, "b" * 40
    places = dict(Graph([(one, ()), (other, (one, "c" * 40))], "d" * 40).places())
    assert places == {
        one: Place(None, None, one, 0, None),
        other: Place(None, None, one, 1, None),
    }


def test_a_line_of_releases_takes_one_entry_each() -> None:
    """The trunk is merged into a production branch repeatedly."""
    trunk = [f"{n:040x}" for n in range(1, 300)]
    commits: Commits = {trunk[0]: ()} | {sha: (parent,) for parent, sha in pairwise(trunk)}
    above = trunk[0]
    for n, sha in enumerate(trunk[1:]):
        merge = f"{10_000 + n:040x}"
        commits[merge] = (above, sha)
        above = merge
    places = dict(Graph(commits.items(), trunk[-1]).places())
    assert places[above].line_position == len(trunk) - 2
    assert {place.reach and len(place.reach) for place in places.values()} == {None}


@pytest.mark.parametrize("is_odd", [False, True], ids=["newest commit", "an old tag"])
@pytest.mark.parametrize(("name", "rule"), releases.RULES)
def test_the_first_release_by_places_is_the_one_that_git_names(
    name: str, rule: str, is_odd: bool
) -> None:
    """The result must not depend on the tip of the default branch."""
    for of in releases.facts(name).values():
        tip = of["tags"][0][1] if is_odd else len(of["parents"]) - 1
        assert releases.first_releases(of, rule, tip) == releases.named_by_git(of, rule)
