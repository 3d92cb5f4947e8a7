"""Typed pull requests and team configuration, and the accounts of each person."""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
DRAFT_EVENTS = ("ready_for_review", "convert_to_draft")


def instant(value: str | datetime) -> datetime:
    """Convert an ISO instant to UTC; raise ValueError without a zone."""
    read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if read.tzinfo is None:
        raise ValueError(f"{value!r} has a time of day but no zone")
    return read.astimezone(UTC)


def optional_instant(value: str | datetime | None) -> datetime | None:
    return None if value is None else instant(value)


def configured_instant(value: str | date) -> datetime:
    """Convert a configured instant to UTC; a date without a time of day is midnight UTC."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, str) and "T" not in value and " " not in value:
        value = date.fromisoformat(value)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    return instant(value)


def matches(value: str, pattern: str) -> bool:
    """Whether a pattern matches the whole value: `*` is any text, `?` one character."""
    return fnmatchcase(value.lower(), pattern.lower().replace("[", "[[]"))


def login_key(login: str) -> str:
    return login.lower().removesuffix("[bot]")


@dataclass(frozen=True)
class Person:
    """An author on GitHub; id and login are null if GitHub has deleted the account."""

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
    base_ref: str | None = None
    head_ref: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        return self.repository, self.number

    def excluded_by(self, rules: Iterable[Record]) -> str | None:
        """Return the reason of the first rule whose patterns all match."""
        values = {
            "base": [self.base_ref],
            "head": [self.head_ref],
            "title": [self.record["title"]],
            "label": self.labels,
        }
        for rule in rules:
            if all(
                any(matches(value, rule[name]) for value in found if value is not None)
                for name, found in values.items()
                if name in rule
            ):
                return str(rule["reason"])
        return None

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
            base_ref=record.get("base_ref"),
            head_ref=record.get("head_ref"),
            labels=tuple(record.get("labels") or ()),
        )


def _draft_events(events: Iterable[Record]) -> tuple[DraftEvent, ...]:
    read = []
    for event in events:
        if event["event"] not in DRAFT_EVENTS:
            raise ValueError(f"draft event is {event['event']!r}; use one of {DRAFT_EVENTS}")
        read.append(DraftEvent(event["event"] == "convert_to_draft", instant(event["created_at"])))
    # The sort is stable: events of the same second stay in timeline order.
    return tuple(sorted(read, key=lambda event: event.created_at))


@dataclass(frozen=True)
class Membership:
    team_id: str
    login: str
    weight: Decimal
    joined_at: datetime
    left_at: datetime | None
    also: frozenset[str] = frozenset()

    def holds_at(self, at: datetime) -> bool:
        return self.joined_at <= at and (self.left_at is None or at < self.left_at)


def team_id(team: Record) -> str:
    slug: str = team.get("id") or re.sub(r"[^a-z0-9]+", "-", team["name"].lower()).strip("-")
    return slug


def memberships(teams: Iterable[Record]) -> list[Membership]:
    """Return the memberships of all teams; raise ValueError for an invalid weight."""
    read = []
    for team in teams:
        for member in team["members"]:
            weight = Decimal(str(member.get("allocation_weight", "1.00")))
            if not 0 <= weight <= 1 or weight != round(weight, 2):
                raise ValueError(f"weight is {weight}; use 0.00 to 1.00 in steps of 0.01")
            left_at = member.get("left_at")
            read.append(
                Membership(
                    team_id(team),
                    login_key(member["github_username"]),
                    weight,
                    configured_instant(member["joined_at"]),
                    None if left_at is None else configured_instant(left_at),
                    frozenset(map(login_key, member.get("also") or ())),
                )
            )
    return read


@dataclass
class People:
    """The logins seen for each user id, which determine the accounts of each person.

    `bearers` maps a login to the user id that has it now, if known. `members` maps each login in an
    `also` to the member's login. `automation` are patterns of logins that count as bots.
    """

    logins: dict[str, set[str]] = field(default_factory=dict)
    bearers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)
    automation: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        pull_requests: Iterable[PullRequest],
        logins: Mapping[str, Iterable[str]],
        bearers: Mapping[str, str],
        windows: Iterable[Membership],
        automation: Iterable[str] = (),
    ) -> "People":
        people = cls(
            {user: {login_key(one) for one in seen} for user, seen in logins.items()},
            {login_key(login): user for login, user in bearers.items()},
            {
                login: window.login
                for window in windows
                if window.also
                for login in (window.login, *window.also)
            },
            tuple(map(login_key, automation)),
        )
        for login, user in bearers.items():
            people.see(Person(user, login))
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

    def is_bot(self, person: Person) -> bool:
        if person.is_bot or person.login is None:
            return person.is_bot
        return any(matches(login_key(person.login), pattern) for pattern in self.automation)

    def own_logins_of(self, person: Person) -> set[str]:
        """Return the logins of a person's account that no other account has now."""
        return {
            login
            for login in self.logins_of(person)
            if person.id is None or self.bearers.get(login, person.id) == person.id
        }

    def joined(self, person: Person) -> set[str]:
        """Return the members whose `also` joins the person's account with others."""
        own = self.own_logins_of(person)
        return {self.members[login] for login in own if login in self.members}

    def member_logins_of(self, person: Person) -> set[str]:
        """Return the logins under which a team configuration may list a person."""
        found = self.own_logins_of(person)
        joined = self.joined(person)
        listed = {login for login, member in self.members.items() if member in joined}
        for user in self.logins if joined else ():
            if listed & (own := self.own_logins_of(Person(user, None))):
                found |= own
        return found | listed

    def key(self, person: Person) -> str | None:
        """Return a key that is the same for all accounts of one person."""
        joined = self.joined(person)
        return f"member {min(joined)}" if joined else person.key

    def same(self, one: Person, other: Person) -> bool:
        key = self.key(one)
        if key is not None and key == self.key(other):
            return True
        if one.id is not None and other.id is not None:
            return one.id == other.id
        return not self.logins_of(one).isdisjoint(self.logins_of(other))


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the pull requests of a `.jsonl` or `.jsonl.gz` file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            yield json.loads(line)
