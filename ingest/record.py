"""How a run went: counted while it runs, told to a person, kept in `raw.ingest_runs`."""

from dataclasses import dataclass, field
from datetime import datetime

from dora.errors import DoraError, StoppedEarly
from ingest.github.client import Usage
from ingest.github.errors import RateLimitReached
from ingest.github.models import Row

PARTLY_FAILED = 1
INTERRUPTED = 130


@dataclass
class RunResult:
    """How a run went; `messages` are for a person, in the order in which things happened.

    `as_of` is the instant up to which every repository within reach is loaded.
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
    usage: Usage = field(default_factory=Usage)
    database_seconds: float = 0.0
    as_of: datetime | None = None
    resume_at: datetime | None = None
    error: str | None = None
    messages: list[str] = field(default_factory=list)

    def stopped(self, error: DoraError) -> None:
        """Note what ended the run before its end."""
        self.status = "continue" if isinstance(error, StoppedEarly) else "failed"
        if isinstance(error, RateLimitReached):
            self.status, self.resume_at = "wait", error.resume_at
        self.exit_code = error.exit_code
        self.error = str(error)
        self.messages.append(str(error))

    def interrupted(self) -> None:
        """Note that somebody ended the run."""
        self.status, self.exit_code, self.error = "interrupted", INTERRUPTED, "interrupted"

    def lost(self, repository: str, reason: str, *, is_new: bool) -> None:
        """Note a repository that is out of reach: a failure in the run that finds it so."""
        self.repositories_failed += 1
        self.messages.append(f"{repository} is out of reach: {reason}")
        if is_new and self.exit_code == 0:
            self.exit_code, self.status = PARTLY_FAILED, "partial"

    def unclear(self, repository: str, reason: str) -> None:
        """Note a repository that GitHub failed to show this time."""
        self.repositories_failed += 1
        self.messages.append(f"{repository} was not shown this time: {reason}")
        if self.exit_code == 0:
            self.exit_code, self.status = PARTLY_FAILED, "partial"

    def count(self, pull_requests: list[Row], failures: list[Row]) -> None:
        """Count what lands, and what failed to."""
        self.pull_requests += len(pull_requests)
        self.reviews += sum(len(row["reviews"]) for row in pull_requests)
        self.draft_events += sum(len(row["draft_events"]) for row in pull_requests)
        self.failures += sum(row["resolved_at"] is None for row in failures)

    def row(self) -> Row:
        """Return the row of `raw.ingest_runs`."""
        columns = vars(self).copy()
        usage: Usage = columns.pop("usage")
        for name in ("messages", "database_seconds", "as_of"):
            del columns[name]
        return columns | {
            "requests": usage.requests,
            "points": usage.points,
            "response_bytes": usage.response_bytes,
        }
