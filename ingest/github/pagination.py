"""Reads and validates pages of a repository's pull requests, newest change first.

A walk pages through `pullRequests(orderBy: UPDATED_AT DESC)`. GitHub's cursors are predicates on
(updatedAt, id), so a pull request that changes during a walk moves above the cursor without hiding
another; the next walk from the top finds it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

from pydantic import ValidationError

from ingest.github.checkpoint import Checkpoint, Walk
from ingest.github.client import GitHub
from ingest.github.errors import Unanswerable
from ingest.github.models import PageInfo, PullRequest
from ingest.github.queries import document
from ingest.github.responses import Answer, refused_token

Kind = Literal["head", "backfill", "repair"]
# The fields of a pull request that need the permission to read contents.
_CONTENTS = {"commits", "mergeCommit"}
# Deleted, not visible to the token, or blocked by SAML, by an IP allow list or by GitHub.
AWAY = {"NOT_FOUND", "FORBIDDEN"}
# How many repositories' first pages one request asks for.
HEADS = 5
# Attempts for a page that GitHub returns as null.
TRIES = 3


class RepositoryUnavailable(Exception):
    """A repository that the probe saw is now deleted or not visible to the token."""


class PageUnclear(Exception):
    """GitHub returned no page without a clear reason, which says nothing about the repository."""


@dataclass(frozen=True)
class Rejected:
    """A pull request that is invalid or that GitHub did not return, and the reason."""

    id: str | None
    number: int | None
    reason: str


@dataclass
class Page:
    """Pull requests of one repository, and its progress after they have been loaded.

    `asked_after` is the cursor of the request, `last_id` the last pull request that is not null,
    `nulls_at_end` the number of nulls after it. `nulls` are the reasons of its nulls. `suspects`
    are unusable; they become `rejected` after they were requested singly without success. A page
    `is_short` if GitHub calls it the last one above the floor of the walk, but counts more pull
    requests than it has returned.
    """

    repository_id: str
    repository: str
    pull_requests: list[PullRequest]
    rejected: list[Rejected]
    progress: Checkpoint
    is_last: bool
    asked_after: str | None
    is_short: bool = False
    last_id: str | None = None
    nulls_at_end: int = 0
    nulls: list[str] = field(default_factory=list)
    suspects: list[Rejected] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether every part of it has been fetched."""
        whole = all(pr.is_whole for pr in self.pull_requests)
        return whole and not self.nulls and not self.suspects


def read_page(
    answer: Answer, index: int, repository_id: str, progress: Checkpoint, walk: Walk, kind: Kind
) -> tuple[Page, Walk]:
    """Read one repository's page in an answer; return it and the walk after it."""
    node = answer.data["nodes"][index]
    if not node or not node.get("pullRequests"):
        if node and (refusal := answer.refusal_below("nodes", index)):
            raise refused_token(
                f"the pull requests of {node['nameWithOwner']}", refusal, "Pull requests: read"
            )
        error = answer.error_about("nodes", index) or {}
        reason = str(error.get("message", "GitHub returned null for it"))
        if not node and error.get("type") in AWAY:
            raise RepositoryUnavailable(reason)
        raise PageUnclear(reason)
    connection = node["pullRequests"]
    info = PageInfo.model_validate(connection["pageInfo"])
    nodes = connection["nodes"]
    if nodes is None:
        raise PageUnclear("GitHub returned null for its pull requests")
    if info.has_next_page and info.end_cursor in {None, walk.cursor}:
        raise PageUnclear("GitHub says that there is more, but gives no cursor")
    given = [found for found in nodes if found is not None]
    path = ("nodes", index, "pullRequests", "nodes")
    _check_permissions(answer, node["nameWithOwner"], len(nodes), *path)
    pull_requests, rejected = read_pull_requests(answer, nodes, *path)
    updated = [pr.updated_at for pr in pull_requests]
    # If the first page is older than the probe's target, another replica answered: lower it.
    newest = max(updated, default=None) if walk.cursor is None else None
    after = walk.model_copy(
        update={
            "cursor": info.end_cursor or walk.cursor,
            "reached": min(filter(None, [walk.reached, *updated]), default=None),
            "seen": walk.seen + len(nodes),
            "target": min(filter(None, [walk.target, newest]), default=None),
        }
    )
    is_last = not info.has_next_page or after.is_below_floor()
    is_at_its_end = kind != "head" or walk.floor is None or after.is_below_floor()
    advance = {
        "head": progress.after_head_page,
        "backfill": progress.after_backfill_page,
        "repair": progress.after_repair_page,
    }[kind]
    page = Page(
        repository_id=repository_id,
        repository=node["nameWithOwner"],
        pull_requests=pull_requests,
        rejected=[],
        suspects=rejected,
        progress=advance(after, is_last=not info.has_next_page),
        is_last=is_last,
        asked_after=walk.cursor,
        is_short=is_last and not is_at_its_end and after.seen < connection["totalCount"],
        last_id=given[-1]["id"] if given else None,
        nulls_at_end=sum(1 for _ in takewhile(lambda found: found is None, reversed(nodes))),
        nulls=[
            _null_reason(answer, index, position)
            for position, found in enumerate(nodes)
            if found is None
        ],
    )
    return page, after


def read_pull_requests(
    answer: Answer, nodes: Sequence[Any], *path: str | int
) -> tuple[list[PullRequest], list[Rejected]]:
    """Validate the pull requests at a path of an answer; skip nulls.

    A pull request with an error is rejected, because its null fields may have values.
    """
    pull_requests, rejected = [], []
    for position, node in enumerate(nodes):
        if node is None:
            continue
        if error := answer.error_about(*path, position):
            reason = str(error.get("message"))
            rejected.append(Rejected(node.get("id"), node.get("number"), reason))
            continue
        try:
            pull_requests.append(PullRequest.model_validate(node))
        except ValidationError as invalid:
            faults = [_fault(fault) for fault in invalid.errors(include_url=False)]
            rejected.append(Rejected(node.get("id"), node.get("number"), "; ".join(faults)))
    return pull_requests, rejected


def _check_permissions(answer: Answer, name: str, count: int, *path: str | int) -> None:
    """Raise `TokenRefused` if GitHub refuses fields of most pull requests on a page.

    For a single one, GitHub may have failed; for most, the token lacks a permission.
    """
    refusals = [found for i in range(count) if (found := answer.refusal_below(*path, i))]
    if len(refusals) * 2 > count:
        fields = refusals[0]["path"][len(path) + 1 :]
        is_content = fields and fields[0] in _CONTENTS
        raise refused_token(
            f"the {'commits' if is_content else 'pull requests'} of {name}",
            refusals[0],
            "Contents: read" if is_content else "Pull requests: read",
        )


def _null_reason(answer: Answer, index: int, position: int) -> str:
    error = answer.error_at("nodes", index, "pullRequests", "nodes", position) or {}
    return str(error.get("message", "GitHub returned null for it"))


def _fault(fault: Any) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {message}" if place else message


@dataclass
class Walker:
    """Reads pages.

    `lost` are the repositories that became unreachable after the probe, with the reason; `unclear`
    those of which GitHub failed to return a page, which says nothing about the repository.
    """

    github: GitHub
    lost: dict[str, str] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)

    async def go_on(
        self, repository_id: str, progress: Checkpoint, kind: Kind
    ) -> AsyncIterator[Page]:
        """Continue this kind of walk from its state in `progress` to its end."""
        walk: Walk | None = getattr(progress, kind)
        if walk is not None:
            async for page in self._walk(repository_id, progress, walk, kind):
                yield page

    async def heads(self, walks: dict[str, tuple[Checkpoint, Walk]]) -> AsyncIterator[Page]:
        """Walk several repositories (at most `HEADS`) from the top down to their watermarks."""
        try:
            answer = await self.github.query(
                "heads",
                {"ids": list(walks), "after": None},
                lambda asked: (document("walk"), asked),
            )
        except Unanswerable:
            for repository_id, (progress, walk) in walks.items():
                async for page in self._walk(repository_id, progress, walk, "head"):
                    yield page
            return
        for index, (repository_id, (progress, walk)) in enumerate(walks.items()):
            try:
                page, after = read_page(answer, index, repository_id, progress, walk, "head")
                is_clear = not page.is_short
            except RepositoryUnavailable as error:
                self.lost[repository_id] = str(error)
                continue
            except PageUnclear:
                is_clear = False
            if not is_clear:
                # Walk it separately, from the top.
                async for again in self._walk(repository_id, progress, walk, "head"):
                    yield again
                continue
            yield page
            if not page.is_last:
                async for further in self._walk(repository_id, page.progress, after, "head"):
                    yield further

    async def _walk(
        self, repository_id: str, progress: Checkpoint, walk: Walk, kind: Kind
    ) -> AsyncIterator[Page]:
        in_vain, is_anew = 0, False
        # A page that cannot be completed ends the walk in this run: no later page may be loaded.
        while repository_id not in self.unclear:
            try:
                asked = {"ids": [repository_id], "after": walk.cursor}
                answer = await self.github.query("walk", asked)
            except Unanswerable:
                # Request only the id of the next pull request; it is then requested singly.
                alone = {"ids": [repository_id], "first": 1, "after": walk.cursor}
                answer = await self.github.query("ids", alone)
            try:
                page, after = read_page(answer, 0, repository_id, progress, walk, kind)
            except RepositoryUnavailable as error:
                self.lost[repository_id] = str(error)
                return
            except PageUnclear as error:
                # The page may be too big; GitHub does not always say so.
                sizes = self.github.sizes["walk"]
                sizes.refuse(sizes.fitted({}))
                in_vain += 1
                if in_vain < TRIES:
                    continue
                if walk.cursor is None or is_anew:
                    self.unclear[repository_id] = str(error)
                    return
                # The cursor may be invalid: restart the walk, once.
                walk, is_anew, in_vain = walk.model_copy(update={"cursor": None}), True, 0
                continue
            in_vain += page.is_short
            if page.is_short and in_vain < TRIES:
                continue
            # If it stays short, GitHub's count is wrong.
            in_vain, walk, progress = 0, after, page.progress
            yield page
            if page.is_last:
                return
