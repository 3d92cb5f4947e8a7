"""The commit graph of a repository, and the commits that a commit contains."""

from collections.abc import Iterable
from functools import lru_cache

from .facts import Commit


class Graph:
    """The commits of one repository by their parents."""

    def __init__(self, commits: Iterable[Commit]) -> None:
        self.parents = {commit.sha: commit.parents for commit in commits}
        self.reach = lru_cache(maxsize=128)(self._reach)

    def __contains__(self, sha: object) -> bool:
        return sha in self.parents

    def _reach(self, sha: str | None) -> frozenset[str]:
        """Return a commit and all its ancestors; nothing for an unknown commit."""
        found: set[str] = set()
        left = [sha]
        while left:
            commit = left.pop()
            if commit is not None and commit in self.parents and commit not in found:
                found.add(commit)
                left.extend(self.parents[commit])
        return frozenset(found)

    def is_ancestor(self, older: str | None, newer: str | None) -> bool:
        """Whether one commit is an ancestor of another; false for the same commit."""
        return older != newer and older in self.reach(newer)
