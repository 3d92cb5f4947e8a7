"""Instants, phases, size and attribution of each pull request."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .records import Membership, People, PullRequest, Review

UNASSIGNED = "unassigned"
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1) // MICROSECOND
PHASES = ("coding", "draft", "pickup", "review")
ATTRIBUTION_INSTANTS = ("merged_at", "created_at")

Row = dict[str, Any]


def hours(microseconds: int | Fraction) -> float:
    return float(Fraction(microseconds) / HOUR)


@dataclass(frozen=True)
class Measured:
    """A pull request with the values of docs/metrics.md; durations in whole microseconds."""

    pull_request: PullRequest
    work_started_at: datetime
    first_commit_at: datetime | None
    first_review_at: datetime | None
    cycle_time: int | None
    phases: Mapping[str, int] | None

    def row(self) -> Row:
        """Return its row of fct_pull_requests, without columns that the record lacks."""
        pull_request = self.pull_request
        record = pull_request.record
        row: Row = {
            "repository": pull_request.repository,
            "number": pull_request.number,
            "title": record["title"],
            "author": pull_request.author.login,
            "state": pull_request.state,
            "created_at": pull_request.created_at,
            "closed_at": pull_request.closed_at,
            "merged_at": pull_request.merged_at,
            "first_commit_at": self.first_commit_at,
            "work_started_at": self.work_started_at,
            "first_review_at": self.first_review_at,
            "cycle_time_hours": None if self.cycle_time is None else hours(self.cycle_time),
        }
        phases = self.phases
        for phase in PHASES:
            row[f"{phase}_hours"] = None if phases is None else hours(phases[phase])
        row["total_hours"] = None if phases is None else hours(sum(phases.values()))
        if "id" in record:
            row["pull_request_id"] = record["id"]
        row |= {name: record[name] for name in ("url", "additions", "deletions") if name in record}
        if "additions" in record and "deletions" in record:
            sizes = (record["additions"], record["deletions"])
            row["size"] = None if None in sizes else sum(sizes)
        return row


@dataclass(frozen=True)
class Attribution:
    team_id: str
    measured: Measured
    weight: Decimal
    attributed_at: datetime

    @property
    def key(self) -> tuple[str, str, int]:
        return self.team_id, *self.measured.pull_request.key

    def row(self) -> Row:
        row: Row = {
            "team_id": self.team_id,
            "weight": self.weight,
            "attributed_at": self.attributed_at,
        }
        record = self.measured.pull_request.record
        return row | ({"pull_request_id": record["id"]} if "id" in record else {})


def measure(pull_request: PullRequest, people: People) -> Measured:
    created_at, merged_at = pull_request.created_at, pull_request.merged_at
    first_commit_at = _first_commit_at(pull_request)
    work_started_at = created_at if first_commit_at is None else min(first_commit_at, created_at)
    first_review_at = _first_review_at(pull_request, people)
    if merged_at is None:
        return Measured(pull_request, work_started_at, first_commit_at, first_review_at, None, None)
    picked_up_at = merged_at if first_review_at is None else first_review_at
    draft = _time_in_draft(pull_request, created_at, merged_at)
    draft_before = _time_in_draft(pull_request, created_at, picked_up_at)
    phases = {
        "coding": created_at - work_started_at,
        "draft": draft,
        "pickup": picked_up_at - created_at - draft_before,
        "review": merged_at - picked_up_at - (draft - draft_before),
    }
    return Measured(
        pull_request,
        work_started_at,
        first_commit_at,
        first_review_at,
        (merged_at - created_at) // MICROSECOND,
        {phase: duration // MICROSECOND for phase, duration in phases.items()},
    )


def _first_commit_at(pull_request: PullRequest) -> datetime | None:
    """Return the date of the first commit, unless it is impossible."""
    at = pull_request.first_commit_at
    if at is None or at < pull_request.created_at - timedelta(hours=365 * 24):
        return None
    if pull_request.merged_at is not None and at > pull_request.merged_at:
        return None
    return at


def _first_review_at(pull_request: PullRequest, people: People) -> datetime | None:
    counted = counted_reviews(pull_request, people)
    return min((review.submitted_at for review in counted if review.submitted_at), default=None)


def counted_reviews(pull_request: PullRequest, people: People) -> list[Review]:
    """Return the reviews that count, in the order in which they were submitted."""
    end = None
    if pull_request.state != "open":
        end = pull_request.merged_at or pull_request.closed_at
    counted = [
        review
        for review in pull_request.reviews
        if review.submitted_at is not None
        and review.state != "PENDING"
        and pull_request.created_at <= review.submitted_at
        and (end is None or review.submitted_at <= end)
        and not people.is_bot(review.author)
        and not people.same(review.author, pull_request.author)
    ]
    return sorted(counted, key=lambda review: review.submitted_at or pull_request.created_at)


def _time_in_draft(pull_request: PullRequest, start: datetime, end: datetime) -> timedelta:
    events = pull_request.draft_events
    is_draft = not events[0].to_draft if events else pull_request.is_draft
    spent, since = timedelta(), start
    for event in events:
        at = min(max(event.created_at, start), end)
        spent += at - since if is_draft else timedelta()
        since, is_draft = at, event.to_draft
    return spent + (end - since if is_draft else timedelta())


def attributed_at(pull_request: PullRequest, attribution_instant: str) -> datetime:
    if attribution_instant not in ATTRIBUTION_INSTANTS:
        raise ValueError(
            f"attribution_instant is {attribution_instant!r}; use one of {ATTRIBUTION_INSTANTS}"
        )
    if attribution_instant == "created_at":
        return pull_request.created_at
    return pull_request.merged_at or pull_request.closed_at or pull_request.created_at


def attribute(
    measured: Measured, held: Iterable[Membership], attribution_instant: str
) -> Iterator[Attribution]:
    """Yield the attributions of a pull request whose author has the memberships `held`."""
    at = attributed_at(measured.pull_request, attribution_instant)
    weights: dict[str, Decimal] = {}
    for membership in held:
        if membership.holds_at(at):
            weight = weights.get(membership.team_id, membership.weight)
            weights[membership.team_id] = max(weight, membership.weight)
    for team, weight in weights.items():
        yield Attribution(team, measured, weight, at)
    rest = 1 - sum(weights.values(), Decimal())
    if rest > 0:
        yield Attribution(UNASSIGNED, measured, rest, at)
