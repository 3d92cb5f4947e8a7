"""The result of a run: counts, messages and the row of `raw.ingest_runs`."""

from dataclasses import dataclass, field
from datetime import datetime

from dora.errors import DoraError, StoppedEarly
from ingest.github.client import Usage
from ingest.github.errors import RateLimitReached
from ingest.github.models import Row

PARTLY_FAILED = 1
INTERRUPTED = 130
# How many unreadable pull requests a run's messages name.
NAMED = 5
_UNSTORED = (
    *("messages", "database_seconds", "as_of", "pull_requests_failed", "deliveries_failed"),
)


@dataclass
class RunResult:
    """The result of a run; `messages` are for people, in the order of events.

    `as_of` is the instant up to which every reachable repository is loaded.
    """

    run_id: str
    started_at: datetime
    finished_at: datetime | None = None
    status: str = "complete"
    exit_code: int = 0
    repositories: int = 0
    repositories_failed: int = 0
    pull_requests: int = 0
    reviews: int = 0
    draft_events: int = 0
    failures: int = 0
    pull_requests_failed: int = 0
    deliveries_failed: int = 0
    usage: Usage = field(default_factory=Usage)
    database_seconds: float = 0.0
    as_of: datetime | None = None
    resume_at: datetime | None = None
    error: str | None = None
    messages: list[str] = field(default_factory=list)

    def stopped(self, error: DoraError) -> None:
        """Record the error that stopped the run."""
        self.status = "continue" if isinstance(error, StoppedEarly) else "failed"
        if isinstance(error, RateLimitReached):
            self.status, self.resume_at = "wait", error.resume_at
        self.exit_code = error.exit_code
        self.error = str(error)
        self.messages.append(str(error))

    def interrupted(self) -> None:
        """Record that somebody interrupted the run."""
        self.status, self.exit_code, self.error = "interrupted", INTERRUPTED, "interrupted"

    def lost(self, repository: str, reason: str, *, is_new: bool) -> None:
        """Record an unreachable repository; only the first run that notices it fails partly."""
        self.repositories_failed += 1
        self.messages.append(f"{repository} is unreachable: {reason}")
        if is_new and self.exit_code == 0:
            self.exit_code, self.status = PARTLY_FAILED, "partial"

    def unclear(self, repository: str, reason: str) -> None:
        """Record a repository that GitHub failed to return in this run."""
        self.repositories_failed += 1
        self.messages.append(f"{repository} could not be read in this run: {reason}")
        if self.exit_code == 0:
            self.exit_code, self.status = PARTLY_FAILED, "partial"

    def incomplete(self, message: str) -> None:
        """Record that something could not be loaded; the run continues."""
        self.messages.append(message)
        if self.exit_code == 0:
            self.exit_code, self.status = PARTLY_FAILED, "partial"

    def count(self, pull_requests: list[Row], failures: list[Row]) -> None:
        """Count the loaded rows and the failures."""
        self.pull_requests += len(pull_requests)
        self.reviews += sum(len(row["reviews"]) for row in pull_requests)
        self.draft_events += sum(len(row["draft_events"]) for row in pull_requests)
        for row in failures:
            if row["resolved_at"] is None:
                self.failures += 1
                if row["kind"] == "pull_request":
                    self._pull_request_failed(row)
                elif row["kind"] != "repository":
                    self._delivery_failed(row)

    def _pull_request_failed(self, row: Row) -> None:
        """Record an unreadable pull request; the run fails partly as long as runs retry it."""
        self.pull_requests_failed += 1
        if self.pull_requests_failed <= NAMED:
            name = f"#{row['number']}" if row["number"] else f" {row['subject_id'] or ''}"
            self.messages.append(f"{row['repository']}{name} could not be read: {row['reason']}")
        if self.exit_code == 0 and (row["retry_at"] or not row["subject_id"]):
            self.exit_code, self.status = PARTLY_FAILED, "partial"

    def _delivery_failed(self, row: Row) -> None:
        """Record an unreadable deployment, release, tag, run, incident or list of files."""
        self.deliveries_failed += 1
        if self.deliveries_failed <= NAMED:
            what = f"{row['kind'].replace('_', ' ')} {row['subject_id']} of {row['repository']}"
            self.messages.append(f"{what} could not be read: {row['reason']}")
        if self.exit_code == 0 and row["retry_at"]:
            self.exit_code, self.status = PARTLY_FAILED, "partial"

    def row(self) -> Row:
        """Return the row of `raw.ingest_runs`."""
        columns = vars(self).copy()
        usage: Usage = columns.pop("usage")
        for name in _UNSTORED:
            del columns[name]
        return columns | {
            "requests": usage.requests,
            "points": usage.points,
            "response_bytes": usage.response_bytes,
        }
