"""Status, age and reviews of each open pull request, by replaying its reviews."""

from datetime import datetime, timedelta

from .pull_requests import MICROSECOND, Row, counted_reviews, hours
from .records import People, PullRequest

DECISIONS = ("APPROVED", "CHANGES_REQUESTED")


def described(pull_request: PullRequest, people: People, as_of: datetime) -> Row:
    """Return the row of an open pull request, with its repository and number."""
    reviews = counted_reviews(pull_request, people)
    status, since = _replayed(pull_request, people)
    switched_at = [event.created_at for event in pull_request.draft_events]
    since = max([pull_request.created_at, since, *switched_at])
    verdicts = {
        people.key(review.author): review.state for review in reviews if review.state != "COMMENTED"
    }
    is_known = True
    if pull_request.is_draft:
        status, since = "draft", max([pull_request.created_at, *switched_at])
    else:
        is_known = "DISMISSED" not in verdicts.values()
    return {
        "repository": pull_request.repository,
        "number": pull_request.number,
        "status": status,
        "status_since": since if is_known else None,
        "age_hours": _hours_until(as_of, pull_request.created_at),
        "waiting_hours": _hours_until(as_of, since) if is_known else None,
        "reviews": len(reviews),
        "reviewers": len({people.key(review.author) for review in reviews}),
    }


def _replayed(pull_request: PullRequest, people: People) -> tuple[str, datetime]:
    """Return the status that the reviews give, and when they last changed it."""
    status, since = "waiting_for_review", pull_request.created_at
    decisions: dict[str | None, str] = {}
    for review in counted_reviews(pull_request, people):
        if review.state in DECISIONS and review.submitted_at is not None:
            decisions[people.key(review.author)] = review.state
            now = "changes_requested" if DECISIONS[1] in decisions.values() else "approved"
            if now != status:
                status, since = now, review.submitted_at
    return status, since


def _hours_until(as_of: datetime, start: datetime) -> float:
    return hours(max(as_of - start, timedelta()) // MICROSECOND)
