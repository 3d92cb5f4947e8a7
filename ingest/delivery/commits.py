"""Reads the commit graph: from the tips down until every parent is known, each commit once.

Tips are the default branch's tip and the commits of tags, releases, deployments and runs that a
rule counts. A history is not ordered by date and has no `since`; commits never change.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, Field, ValidationError

from ingest.delivery.checkpoint import History
from ingest.delivery.load_context import LoadContext
from ingest.delivery.save_commit_positions import place_commits
from ingest.github.adaptive_page_size import LONGEST
from ingest.github.batching import in_parts
from ingest.github.errors import Unanswerable
from ingest.github.models import Node, PageInfo, Row
from ingest.github.queries import commits_document

# Commits per request, of one tip or of many.
AT_ONCE = LONGEST
# A new tip is usually a few commits above known ones; if not, more are requested.
FIRST = 10
# When to request a commit again that GitHub does not have (a fork's, or a removed one).
ASK_AGAIN_AFTER = timedelta(days=7)
_HASH = re.compile("[0-9a-f]{40}([0-9a-f]{24})?")
_KNOWN = "select sha from raw.commits where repository_id = %s and sha = any(%s)"
_ANY = "select true from raw.commits where repository_id = %s limit 1"
# The missing parents, after an interrupted run.
_OPEN = """
    select distinct parent
    from raw.commits as children
    cross join unnest(string_to_array(children.parents, ' ')) as parent
    where
        repository_id = %s
        and parent <> ''
        and not exists (
            select from raw.commits as known
            where known.repository_id = children.repository_id and known.sha = parent
        )
"""


class _Oid(Node):
    oid: str


class _Parents(Node):
    total_count: int
    nodes: list[_Oid]


class _Commit(Node):
    oid: str
    authored_date: AwareDatetime | None
    committed_date: AwareDatetime
    parents: _Parents

    def row(self, repository_id: str) -> Row:
        return {
            "repository_id": repository_id,
            "sha": self.oid,
            "parents": " ".join(parent.oid for parent in self.parents.nodes),
            "authored_at": self.authored_date,
            "committed_at": self.committed_date,
        }


class _Page(Node):
    page_info: PageInfo
    nodes: list[_Commit] = Field(min_length=1)


@dataclass(frozen=True)
class _Walk:
    """The next page of a commit's history; only the default branch's has pages after the first."""

    repository_id: str
    oid: str
    first: int
    is_main: bool = False
    cursor: str | None = None


@dataclass
class _Graph:
    """A repository's graph in this run, in addition to the loaded commits.

    `fetched` are the commits read in this run, `parents` their parents, as bytes because there may
    be half a million. `is_new` if no commits were loaded before; `depth` is how many commits to
    request from an unknown parent down.
    """

    is_new: bool
    fetched: set[bytes] = field(default_factory=set)
    parents: set[bytes] = field(default_factory=set)
    depth: int = 1
    is_broken: bool = False


class CommitWalker:
    """Reads missing commits of many repositories at a time."""

    def __init__(self, desk: LoadContext) -> None:
        self.desk = desk
        self._graphs: dict[str, _Graph] = {}
        self._walks: deque[_Walk] = deque()

    async def follow(
        self, tips: Mapping[str, tuple[str | None, Iterable[str]]], at: Mapping[str, datetime]
    ) -> set[str]:
        """Complete these repositories' graphs, from the default branch's tip and other tips.

        `at` is when GitHub showed that tip. Returns the repositories that could not be completed.
        """
        for key, (tip, _) in tips.items():
            self._open(key, tip)
        await self._drain()
        for key, (tip, others) in tips.items():
            # An interrupted walk that was just continued may have begun at another tip.
            self._begin(key, [tip] if tip else [], FIRST, is_main=True)
            self._begin(key, others)
        await self._drain()
        # Commits that neither the tips' histories nor an earlier run reached.
        while self._begin_at_parents():
            await self._drain()
        await self.desk.land()
        for key, (tip, _) in tips.items():
            if not self._graphs[key].is_broken:
                self._end(key, tip, at[key])
        await self.desk.land()
        return {key for key, graph in self._graphs.items() if graph.is_broken}

    def _open(self, key: str, tip: str | None) -> None:
        delivered = self.desk.delivered(key)
        self._graphs[key] = graph = _Graph(is_new=not self.desk.select(_ANY, key))
        if delivered.history is not None:
            history = delivered.history
            self._walks.append(_Walk(key, history.tip, AT_ONCE, True, history.cursor))
        if not delivered.is_whole and not graph.is_new:
            graph.parents |= {bytes.fromhex(row[0]) for row in self.desk.select(_OPEN, key)}
        if tip is not None and delivered.history is None:
            self._begin(key, [tip], AT_ONCE if graph.is_new else FIRST, is_main=True)

    def _begin(
        self, key: str, oids: Iterable[str], first: int = 1, *, is_main: bool = False
    ) -> bool:
        """Begin a walk at each unknown commit of these; return whether there is one."""
        wanted = sorted({oid for oid in oids if self._is_to_ask_for(key, oid)})
        unknown = self._unknown(key, wanted)
        self._walks += (_Walk(key, oid, first, is_main) for oid in unknown)
        return bool(unknown)

    def _is_to_ask_for(self, key: str, oid: str) -> bool:
        if not _HASH.fullmatch(oid):
            return False
        missing = self.desk.delivered(key).missing.get(oid)
        return missing is None or self.desk.now >= missing + ASK_AGAIN_AFTER

    def _unknown(self, key: str, oids: Iterable[str]) -> list[str]:
        graph = self._graphs[key]
        rest = [oid for oid in oids if bytes.fromhex(oid) not in graph.fetched]
        if not rest or graph.is_new:
            return rest
        known = {row[0] for row in self.desk.select(_KNOWN, key, rest)}
        return [oid for oid in rest if oid not in known]

    def _begin_at_parents(self) -> bool:
        """Begin walks at unknown parents, deeper than before."""
        is_any = False
        for key, graph in self._graphs.items():
            parents, graph.parents = graph.parents - graph.fetched, set()
            if parents and not graph.is_broken:
                graph.depth = min(AT_ONCE, graph.depth * 2)
                is_any |= self._begin(key, (oid.hex() for oid in parents), graph.depth)
        return is_any

    async def _drain(self) -> None:
        while self._walks:
            walks = self._take()
            async for part, answer in in_parts(
                self.desk.github, "commits", walks, {"first": AT_ONCE}, _render
            ):
                if isinstance(answer, Unanswerable):
                    self._break(part[0], str(answer))
                    continue
                for index, walk in enumerate(part):
                    if not self._graphs[walk.repository_id].is_broken:
                        self._read(walk, answer, f"c{index}")
            await self.desk.land_if_due()

    def _take(self) -> list[_Walk]:
        """Take as many walks as fit into a request; skip those whose commit has been read."""
        taken: list[_Walk] = []
        commits = 0
        while self._walks and (not taken or commits + self._walks[0].first <= AT_ONCE):
            walk = self._walks.popleft()
            fetched = self._graphs[walk.repository_id].fetched
            if walk.cursor or bytes.fromhex(walk.oid) not in fetched:
                taken.append(walk)
                commits += walk.first
        return taken

    def _read(self, walk: _Walk, answer: Any, alias: str) -> None:
        node = answer.data.get(alias)
        key = walk.repository_id
        error = answer.error_about(alias)
        if node is None or error:
            self._break(walk, str((error or {}).get("message", "GitHub returned null for it")))
            return
        found = node["object"]
        if found is None or found["__typename"] != "Commit":
            missing = self.desk.delivered(key).missing
            now = self.desk.now
            self.desk.then(lambda: missing.update({walk.oid: now}))
            return
        try:
            page = _Page.model_validate(found["history"])
        except ValidationError as invalid:
            self._break(walk, f"its commits have an unknown format: {invalid.errors()[0]['msg']}")
            return
        for commit in page.nodes:
            if len(commit.parents.nodes) < commit.parents.total_count:
                self._break(walk, f"GitHub does not show all parents of {commit.oid}")
                return
        self._keep(walk, page)

    def _keep(self, walk: _Walk, page: _Page) -> None:
        """Add a page's new commits to the rows to load, and request the default branch's next page.

        It stops when most of a page is known. For the other tips one page is read: a hundred tips
        may lie on one line, so deeper walks begin only at parents that are still unknown.
        """
        key, graph = walk.repository_id, self._graphs[walk.repository_id]
        unknown = set(self._unknown(key, [commit.oid for commit in page.nodes]))
        new = [commit for commit in page.nodes if commit.oid in unknown]
        self.desk.put("commits", "repository_id,sha", (commit.row(key) for commit in new))
        graph.fetched |= {bytes.fromhex(commit.oid) for commit in new}
        parents = {bytes.fromhex(each.oid) for commit in new for each in commit.parents.nodes}
        graph.parents |= parents - graph.fetched
        is_open = page.page_info.has_next_page and len(new) * 2 > len(page.nodes)
        has_more = is_open and bool(self._unknown(key, (oid.hex() for oid in parents)))
        cursor = page.page_info.end_cursor
        history = None
        if walk.is_main and has_more and cursor not in {None, walk.cursor}:
            self._walks.appendleft(replace(walk, cursor=cursor, first=AT_ONCE))
            history = History(tip=walk.oid, cursor=cursor)
        delivered = self.desk.delivered(key)

        def advance() -> None:
            delivered.is_whole, delivered.is_due = False, True
            if history or (delivered.history and delivered.history.tip == walk.oid):
                delivered.history = history

        if new or delivered.history:
            self.desk.then(advance)

    def _break(self, walk: _Walk, reason: str) -> None:
        """Leave the rest of a repository's graph to another run."""
        self._graphs[walk.repository_id].is_broken = True
        self.desk.delivered(walk.repository_id).is_due = True
        self.desk.unclear(walk.repository_id, "commits", reason)

    def _end(self, key: str, tip: str | None, at: datetime) -> None:
        """Record that the graph is complete, and update the commits' places."""
        delivered = self.desk.delivered(key)
        if self._graphs[key].fetched or delivered.tip != tip:
            place_commits(self.desk.database, key, tip)
        delivered.tip, delivered.is_whole, delivered.history = tip, True, None
        self.desk.covered(key, "commits", at)


def _render(asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    walks: list[_Walk] = asked["ids"]
    # At least two: with only one parent of a merge the graph would be wrong.
    variables: dict[str, Any] = {"parents": max(2, asked["parents"])}
    for index, walk in enumerate(walks):
        variables[f"id{index}"] = walk.repository_id
        variables[f"oid{index}"] = walk.oid
        variables[f"first{index}"] = min(walk.first, asked["first"])
        variables[f"after{index}"] = walk.cursor
    return commits_document(len(walks)), variables
