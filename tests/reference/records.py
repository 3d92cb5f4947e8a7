"""Pull requests and team configuration as read, typed; and who is who."""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
DRAFT_EVENTS = ("ready_for_review", "convert_to_draft")


def instant(value: str | datetime) -> datetime:
    """Read an ISO instant into UTC; one without a zone is an error."""
    read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if read.tzinfo is None:
        raise ValueError(f"{value!r} has a time of day but no zone")
    return read.astimezone(UTC)


def optional_instant(value: str | datetime | None) -> datetime | None:
    return None if value is None else instant(value)


def configured_instant(value: str | date) -> datetime:
    """Read a configured instant, where a date without a time of day is midnight UTC."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, str) and "T" not in value and " " not in value:
        value = date.fromisoformat(value)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    return instant(value)


def login_key(login: str) -> str:
    return login.lower().removesuffix("[bot]")


@dataclass(frozen=True)
class Person:
    """Whom GitHub names as an author; both null where it has deleted the login."""

    id: str | None
    login: str | None
    is_bot: bool = False

    @classmethod
    def of(cls, record: Record) -> "Person":
        return cls(
            record.get("author_id"), record.get("author"), record.get("author_type") == "Bot"
        )

    @property
    def key(self) -> str | None:
        if self.id is not None:
            return f"id {self.id}"
        return None if self.login is None else f"login {login_key(self.login)}"


@dataclass(frozen=True)
class Review:
    author: Person
    state: str
    submitted_at: datetime | None


@dataclass(frozen=True)
class DraftEvent:
    to_draft: bool
    created_at: datetime


@dataclass(frozen=True)
class PullRequest:
    record: Record
    repository: str
    number: int
    author: Person
    state: str
    created_at: datetime
    closed_at: datetime | None
    merged_at: datetime | None
    first_commit_at: datetime | None
    is_draft: bool
    draft_events: tuple[DraftEvent, ...]
    reviews: tuple[Review, ...]
    vanished: bool

    @property
    def key(self) -> tuple[str, int]:
        return self.repository, self.number

    @classmethod
    def of(cls, record: Record) -> "PullRequest":
        merged_at = optional_instant(record.get("merged_at"))
        return cls(
            record=record,
            repository=record["repository"],
            number=record["number"],
            author=Person.of(record),
            state="merged" if merged_at else record["state"].lower(),
            created_at=instant(record["created_at"]),
            closed_at=optional_instant(record.get("closed_at")),
            merged_at=merged_at,
            first_commit_at=optional_instant(record.get("first_commit_at")),
            is_draft=bool(record.get("is_draft")),
            draft_events=_draft_events(record.get("draft_events") or ()),
            reviews=tuple(
                Review(
                    Person.of(review),
                    review["state"].upper(),
                    optional_instant(review.get("submitted_at")),
                )
                for review in record.get("reviews") or ()
            ),
            vanished=bool(record.get("vanished") or record.get("vanished_at")),
        )


def _draft_events(events: Iterable[Record]) -> tuple[DraftEvent, ...]:
    read = []
    for event in events:
        if event["event"] not in DRAFT_EVENTS:
            raise ValueError(f"{event['event']!r} is none of {DRAFT_EVENTS}")
        read.append(DraftEvent(event["event"] == "convert_to_draft", instant(event["created_at"])))
    # Stable, so that events of one second stay in timeline order.
    return tuple(sorted(read, key=lambda event: event.created_at))


@dataclass(frozen=True)
class Membership:
    team_id: str
    login: str
    weight: Decimal
    joined_at: datetime
    left_at: datetime | None

    def holds_at(self, at: datetime) -> bool:
        return self.joined_at <= at and (self.left_at is None or at < self.left_at)


def team_id(team: Record) -> str:
    slug: str = team.get("id") or re.sub(r"[^a-z0-9]+", "-", team["name"].lower()).strip("-")
    return slug


def memberships(teams: Iterable[Record]) -> list[Membership]:
    """Read every membership of every team; a weight that cannot be is an error."""
    read = []
    for team in teams:
        for member in team["members"]:
            weight = Decimal(str(member.get("allocation_weight", "1.00")))
            if not 0 <= weight <= 1 or weight != round(weight, 2):
                raise ValueError(f"{weight} is no weight from 0.00 to 1.00 in steps of 0.01")
            left_at = member.get("left_at")
            read.append(
                Membership(
                    team_id(team),
                    login_key(member["github_username"]),
                    weight,
                    configured_instant(member["joined_at"]),
                    None if left_at is None else configured_instant(left_at),
                )
            )
    return read


@dataclass
class People:
    """Every login ever seen for a user id, and thereby who is the same person."""

    logins: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, pull_requests: Iterable[PullRequest], logins: Mapping[str, Iterable[str]]
    ) -> "People":
        people = cls({user: {login_key(one) for one in seen} for user, seen in logins.items()})
        for pull_request in pull_requests:
            people.see(pull_request.author)
            for review in pull_request.reviews:
                people.see(review.author)
        return people

    def see(self, person: Person) -> None:
        if person.id is not None and person.login is not None:
            self.logins.setdefault(person.id, set()).add(login_key(person.login))

    def logins_of(self, person: Person) -> set[str]:
        if person.id is not None:
            return self.logins.get(person.id, set())
        return set() if person.login is None else {login_key(person.login)}

    def same(self, one: Person, other: Person) -> bool:
        if one.id is not None and other.id is not None:
            return one.id == other.id
        return not self.logins_of(one).isdisjoint(self.logins_of(other))


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the pull requests of a `.jsonl` or `.jsonl.gz` file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            yield json.loads(line)
