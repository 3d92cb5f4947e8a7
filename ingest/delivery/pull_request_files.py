"""Reads the files of merged pull requests, for rules with `paths`.

The files of a merged pull request never change, so each is read once. Which are still missing is
seen in the database: after a new rule, or after an interrupted run, the next run reads the rest.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from dora.plurals import counted
from ingest.delivery.load_context import LoadContext
from ingest.github.adaptive_page_size import LONGEST
from ingest.github.batching import in_parts
from ingest.github.errors import Unanswerable
from ingest.github.models import Node, PageInfo, Text
from ingest.github.queries import details_document
from ingest.github.responses import REFUSED, Answer

KIND = "pull_request_files"
# GitHub lists no more files of a pull request.
MOST_FILES = 3000
# The most files in a request, as many nodes as on a page of pull requests.
AT_ONCE = 2500
# When to request the files again that GitHub failed to return for a day.
ASK_AGAIN_AFTER = timedelta(days=7)
_MISSING = """
    select id, repository_id, coalesce(changed_files, 0)
    from raw.pull_requests
    where
        repository_id = any(%(repositories)s)
        and merged_at is not null
        and vanished_at is null
        and (
            %(refresh)s
            or not exists (
                select from raw.pull_request_files as files
                where files.pull_request_id = pull_requests.id
            )
        )
        and not exists (
            select from raw.ingest_failures as failures
            where
                failures.kind = 'pull_request_files'
                and failures.subject_id = pull_requests.id
                and failures.resolved_at is null
                and failures.retry_at is null
                and failures.failed_at > %(asked_since)s
        )
    order by merged_at desc, id
"""


class _File(Node):
    path: Text


class _Files(Node):
    page_info: PageInfo
    nodes: list[_File]


@dataclass
class _Reading:
    """A pull request whose files are being read; `count` is how many GitHub says that it has."""

    id: str
    repository_id: str
    count: int
    paths: dict[str, None] = field(default_factory=dict)
    cursor: str | None = None

    @property
    def first(self) -> int:
        """How many files the next page should have."""
        return min(LONGEST, max(1, self.count - len(self.paths)))


class FileReader:
    """Reads missing files of many pull requests at a time, those merged last first."""

    def __init__(self, desk: LoadContext) -> None:
        self.desk = desk
        # Deleted pull requests, with their repositories.
        self.gone: dict[str, str] = {}
        self._waiting: deque[_Reading] = deque()
        self._refused: set[str] = set()
        # How many pull requests of a repository have more files than GitHub lists.
        self._incomplete: Counter[str] = Counter()

    async def follow(self, at: Mapping[str, datetime]) -> None:
        """Read the missing files of these repositories; `at` is when GitHub showed them."""
        values = {
            "repositories": list(at),
            "refresh": self.desk.stream.config.refresh,
            "asked_since": self.desk.now - ASK_AGAIN_AFTER,
        }
        for row in self.desk.select_named(_MISSING, values):
            reading = _Reading(*row)
            if reading.count > MOST_FILES:
                self._put(reading, is_complete=False)
            else:
                self._waiting.append(reading)
        try:
            while parts := self._take():
                async for part, answer in in_parts(
                    self.desk.github, "files", parts, {"first": LONGEST}, _render
                ):
                    self._read_all(part, answer)
                await self.desk.land_if_due()
        finally:
            self._tell()
        for key in at.keys() - self._refused:
            self.desk.covered(key, KIND, at[key])
        await self.desk.land()

    def _take(self) -> list[_Reading]:
        """Take as many pull requests as fit into a request."""
        taken: list[_Reading] = []
        files = 0
        while self._waiting and len(taken) < LONGEST:
            first = self._waiting[0].first
            if taken and files + first > AT_ONCE:
                break
            reading = self._waiting.popleft()
            if reading.repository_id not in self._refused:
                taken.append(reading)
                files += first
        return taken

    def _read_all(self, part: list[_Reading], answer: Answer | Unanswerable) -> None:
        if isinstance(answer, Unanswerable):
            self._fail(part[0], str(answer))
            return
        errors = [answer.error_about(f"c{index}") or {} for index in range(len(part))]
        # For a single one, GitHub may have failed; for most, a permission is missing.
        is_refused = sum(error.get("type") in REFUSED for error in errors) * 2 > len(part)
        for index, (reading, error) in enumerate(zip(part, errors, strict=True)):
            node = answer.data.get(f"c{index}")
            reason = str(error.get("message", "GitHub returned null for it"))
            if node is None and error.get("type") == "NOT_FOUND":
                self.gone[reading.id] = reading.repository_id
            elif is_refused and error.get("type") in REFUSED:
                self._refused.add(reading.repository_id)
                self.desk.refused(reading.repository_id, KIND, reason)
            elif not node or error:
                self._fail(reading, reason)
            else:
                self._read(reading, node)

    def _read(self, reading: _Reading, node: dict[str, Any]) -> None:
        """Add a page; load the pull request if it was the last one."""
        try:
            page = _Files.model_validate(node["files"])
        except (ValidationError, KeyError):
            self._fail(reading, "GitHub did not return all of its files")
            return
        reading.paths.update(dict.fromkeys(each.path for each in page.nodes))
        cursor = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            self._put(reading, is_complete=len(reading.paths) >= reading.count)
        elif cursor in {None, reading.cursor}:
            self._fail(reading, "GitHub says that there is more, but gives no cursor")
        else:
            reading.cursor = cursor
            self._waiting.appendleft(reading)

    def _put(self, reading: _Reading, *, is_complete: bool) -> None:
        row = {
            "pull_request_id": reading.id,
            "repository_id": reading.repository_id,
            "paths": list(reading.paths) if is_complete else [],
            "is_complete": is_complete,
        }
        if not is_complete:
            self._incomplete[reading.repository_id] += 1
        self.desk.put(KIND, "pull_request_id", [row])
        self.desk.failures.resolve("pull_request_files", [reading.id], self.desk.now)

    def _fail(self, reading: _Reading, reason: str) -> None:
        self.desk.fail("pull_request_files", reading.id, reading.repository_id, reason)

    def _tell(self) -> None:
        for key, count in self._incomplete.items():
            self.desk.result.messages.append(
                f"GitHub does not list all files of {counted(count, 'pull request')} of "
                f"{self.desk.name(key)} (it lists at most {MOST_FILES:,}): they belong to every "
                "target of the repository"
            )


def _render(asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    readings: list[_Reading] = asked["ids"]
    variables: dict[str, Any] = {}
    for index, reading in enumerate(readings):
        variables[f"id{index}"] = reading.id
        variables[f"first{index}"] = min(reading.first, asked["first"])
        variables[f"after{index}"] = reading.cursor
    return details_document(["files"] * len(readings)), variables
