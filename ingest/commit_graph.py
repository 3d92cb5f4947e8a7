"""The place of each commit in its repository's graph, so that SQL can tell which contains which.

The *trunk* is the default branch's first-parent chain. Its commits are numbered from its root, so
that the numbers stay the same as it grows. Every commit has

- `landed`: the position of the first trunk commit that is the commit or its descendant, or None;
- `fork`: the position of the last trunk commit that is the commit or its ancestor, or None;
- `line`, `line_position`: only of commits that are not on the trunk. These are divided into chains
  of first parents; the name of a chain is its oldest commit, and positions count from there;
- `reach`: for each other line with ancestors of the commit, the position of the last one. It leaves
  out ancestors that the trunk up to `fork` contains. None if there are no such ancestors.

Commit A contains commit B (B is A or an ancestor of A) exactly if `B.landed <= A.fork`, or both are
on a line and `B.line_position <= A.line_position`, or `B.line_position <= A.reach[B.line]`.

The time is proportional to the number of commits and parents.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_NONE = -1
_NOTHING: dict[int, int] = {}


class Place(NamedTuple):
    """The place of a commit; the module describes the fields."""

    landed: int | None
    fork: int | None
    line: str | None
    line_position: int | None
    reach: dict[str, int] | None


class Graph:
    """The commits of one repository: each once, in any order. Unknown parents are ignored."""

    def __init__(self, commits: Iterable[tuple[str, Sequence[str]]], tip: str | None) -> None:
        """Build the graph of (sha, parents); `tip` is the latest commit of the default branch."""
        self._index: dict[bytes, int] = {}
        given = array("i")
        starts = array("i", [0])
        count = 0
        for sha, parents in commits:
            given.append(self._number(sha))
            given.extend([self._number(parent) for parent in parents])
            starts.append(len(given))
            count += 1
        self._parents: list[tuple[int, ...]] = [()] * len(self._index)
        self._is_known = bytearray(len(self._index))
        for row in range(count):
            commit, *known = given[starts[row] : starts[row + 1]]
            self._parents[commit] = tuple(known)
            self._is_known[commit] = True
        self._landed = array("i", [_NONE]) * len(self._index)
        self._fork = array("i", [_NONE]) * len(self._index)
        self._bottom = array("i", [_NONE]) * len(self._index)
        self._position = array("i", [_NONE]) * len(self._index)
        # For each commit, the last ancestor by line.
        self._reach: dict[int, dict[int, int]] = {}
        trunk = self._find_trunk(tip)
        self._land(trunk)
        order = self._off_trunk()
        self._find_forks(order)
        self._divide(order)
        self._find_reach(order)

    def _number(self, sha: str) -> int:
        return self._index.setdefault(bytes.fromhex(sha), len(self._index))

    def places(self) -> Iterable[tuple[str, Place]]:
        """Yield each known commit's sha and place."""
        names = list(self._index)
        for name, commit in self._index.items():
            if not self._is_known[commit]:
                continue
            bottom, landed, fork = self._bottom[commit], self._landed[commit], self._fork[commit]
            reach = self._reach.get(commit)
            yield (
                name.hex(),
                Place(
                    landed=None if landed == _NONE else landed,
                    fork=None if fork == _NONE else fork,
                    line=None if bottom == _NONE else names[bottom].hex(),
                    line_position=None if bottom == _NONE else self._position[commit],
                    reach={names[key].hex(): self._position[last] for key, last in reach.items()}
                    if reach
                    else None,
                ),
            )

    def _find_trunk(self, tip: str | None) -> list[int]:
        """Return the trunk, from its root to the tip."""
        trunk = []
        commit = self._index.get(bytes.fromhex(tip)) if tip else None
        while commit is not None and self._is_known[commit]:
            trunk.append(commit)
            commit = next(iter(self._parents[commit]), None)
        return trunk[::-1]

    def _land(self, trunk: Sequence[int]) -> None:
        for position, commit in enumerate(trunk):
            self._fork[commit] = position
            waiting = [commit]
            while waiting:
                one = waiting.pop()
                if self._landed[one] == _NONE:
                    self._landed[one] = position
                    waiting.extend(self._parents[one])

    def _off_trunk(self) -> list[int]:
        """Return the known commits that are not on the trunk, parents before their children."""
        order = []
        # 1: its parents are being visited, 2: it is in the list.
        state = bytearray(len(self._parents))
        for start, is_known in enumerate(self._is_known):
            waiting = [start] if is_known else []
            while waiting:
                one = waiting[-1]
                if state[one] == 2 or self._fork[one] != _NONE or not self._is_known[one]:
                    waiting.pop()
                elif state[one] == 1:
                    state[one] = 2
                    order.append(one)
                    waiting.pop()
                else:
                    state[one] = 1
                    waiting.extend(parent for parent in self._parents[one] if state[parent] == 0)
        return order

    def _find_forks(self, order: Sequence[int]) -> None:
        for commit in order:
            self._fork[commit] = max((self._fork[p] for p in self._parents[commit]), default=_NONE)

    def _divide(self, order: Sequence[int]) -> None:
        """Divide into lines: a line continues with the child that has the longest line above."""
        is_off_trunk = bytearray(len(self._parents))
        for commit in order:
            is_off_trunk[commit] = True
        heir = array("i", [_NONE]) * len(self._parents)
        height = array("i", [0]) * len(self._parents)
        for commit in reversed(order):
            parent = next(iter(self._parents[commit]), _NONE)
            if parent != _NONE and is_off_trunk[parent] and height[commit] + 1 > height[parent]:
                height[parent] = height[commit] + 1
                heir[parent] = commit
        for commit in order:
            parent = next(iter(self._parents[commit]), _NONE)
            if parent != _NONE and heir[parent] == commit:
                self._bottom[commit] = self._bottom[parent]
                self._position[commit] = self._position[parent] + 1
            else:
                self._bottom[commit], self._position[commit] = commit, 0

    def _find_reach(self, order: Sequence[int]) -> None:
        for commit in order:
            parents = self._parents[commit]
            first = parents[0] if parents else _NONE
            if len(parents) == 1 and self._is_below(first, commit):
                if first in self._reach:
                    self._reach[commit] = self._reach[first]
                continue
            reach: dict[int, int] = {}
            for parent in parents:
                if self._bottom[parent] != _NONE:
                    self._widen(reach, commit, parent)
                    for other in self._reach.get(parent, _NOTHING).values():
                        self._widen(reach, commit, other)
            if reach:
                self._reach[commit] = reach

    def _is_below(self, one: int, other: int) -> bool:
        """Whether both are on one line."""
        return self._bottom[one] != _NONE and self._bottom[one] == self._bottom[other]

    def _widen(self, reach: dict[int, int], commit: int, ancestor: int) -> None:
        """Add an ancestor, unless the trunk, the commit's line or a later ancestor contains it."""
        line = self._bottom[ancestor]
        is_landed = _NONE < self._landed[ancestor] <= self._fork[commit]
        if is_landed or self._is_below(ancestor, commit):
            return
        if line not in reach or self._position[reach[line]] < self._position[ancestor]:
            reach[line] = ancestor
