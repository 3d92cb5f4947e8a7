"""The people of the made-up company: teams, and memberships with dates and weights."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from demo.model import ACCOUNT_PREFIXES, node_id

OWNER = "harborlight"


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Name, description and group.
TEAMS = (
    ("Payments", "Charging, refunds and the ledger", "Commerce"),
    ("Storefront", "What shoppers see", "Commerce"),
    ("Platform", "Clusters, pipelines and the tools on them", "Infrastructure"),
    ("Mobile", "The two apps", "Commerce"),
    ("Data", "Warehouse, models and reports", "Infrastructure"),
    ("Identity", "Accounts, sessions and permissions", "Infrastructure"),
    ("Search", None, "Commerce"),
    ("Logistics", None, None),
    ("Support Tools", None, None),
    ("Partners", None, None),
)
FIRST = words(
    """Ada Bruno Chiara Dmitri Elif Farid Greta Hugo Ines Jamal Kaori Lena Marta Nikhil Olga
Pavel Quentin Rosa Samir Tove Uma Viktor Wanda Xavier Yuki Zoe Amara Bjorn Carmen Darius Esme
Felix Gita Henrik Ivana Jonas Keiko Luca Mina Noor Oscar Priya Rafael Sanne Tomas"""
)
LAST = words(
    """Okafor Lindqvist Moreau Petrov Kaya Haddad Neumann Silva Tanaka Brandt Novak Rao Fischer
Duarte Ivanova Castro Weiss Jensen Murphy Alvarez Bauer Chen Demir Eklund Ferrari Grant Hoang
Iyer Jansen Kowalski Larsen Mbeki Nguyen Olsen Park Quinn Rossi Sato Toth Ueda Varga Wolf"""
)
# Minutes east of UTC; most are in Berlin, others in London, New York, Bengaluru, San Francisco.
OFFSETS = (60, 60, 60, 0, -300, 330, -480)


@dataclass(frozen=True)
class Person:
    """`hired` and `gone` limit when they open pull requests; `pace` scales their cycle times."""

    login: str
    type: str
    name: str
    offset: int
    team: int
    hired: datetime
    gone: datetime
    activity: float
    pace: float
    is_quiet: bool = False

    @property
    def id(self) -> str:
        return node_id(ACCOUNT_PREFIXES[self.type], self.login.lower())


@dataclass(frozen=True)
class Membership:
    """A member of the team configuration; without `allocation_weight` the key is left out."""

    github_username: str
    allocation_weight: float | None
    joined_at: str
    left_at: str | None = None

    def to_config(self) -> dict[str, Any]:
        row: dict[str, Any] = {"github_username": self.github_username}
        if self.allocation_weight is not None:
            row["allocation_weight"] = self.allocation_weight
        return row | {"joined_at": self.joined_at, "left_at": self.left_at}


@dataclass
class Team:
    id: str
    name: str
    description: str | None
    group: str | None = None
    members: list[Membership] = field(default_factory=list)

    def to_config(self) -> dict[str, Any]:
        members = [membership.to_config() for membership in self.members]
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "group": self.group,
            "members": members,
        }


class Staff:
    """The people and teams in `[start, end)`; the first 21 people are edge cases."""

    def __init__(
        self, rng: random.Random, start: datetime, end: datetime, people: int, teams: int
    ) -> None:
        if people < 24 or teams < 6:
            raise ValueError(f"at least 24 people and 6 teams are needed, not {people} and {teams}")
        self.rng, self.start, self.end = rng, start, end
        self.teams = [_team(number) for number in range(teams)]
        self.growth = Team("growth", "Growth", "Dissolved; its people went back to their teams")
        self.contractors = max(3, people // 12)
        self.people = [self._person(number, people) for number in range(people)]
        self._place_everyone()
        self.bots = (
            self._bot("dependabot", 2.2),
            self._bot("release-train", 0.8, team=2),
        )
        self._join(2, "release-train[bot]", 1.0)
        self.reviewer_bot = self._bot("lintwise", 0.0)

    def day(self, fraction: float) -> str:
        """Return the date at this fraction of the time from start to end."""
        return (self.start + (self.end - self.start) * fraction).strftime("%Y-%m-%d")

    @staticmethod
    def midnight(day: str) -> datetime:
        return datetime.fromisoformat(f"{day}T00:00:00+00:00")

    def _person(self, number: int, people: int) -> Person:
        rng = self.rng
        first = FIRST[number % len(FIRST)]
        last = LAST[(number * 11 + number // len(FIRST)) % len(LAST)]
        login = _login(number, first, last)
        team = -1 if number >= people - self.contractors else number % len(self.teams)
        late = number > 21 and number % 3 == 0 and team >= 0
        return Person(
            login,
            "User",
            f"{first} {last}",
            OFFSETS[number % len(OFFSETS)],
            team,
            self.midnight(self.day(rng.uniform(0.05, 0.4))) if late else self.start,
            self.midnight(self.day(0.8)) if number == 10 else self.end + timedelta(days=1),
            0.0 if number == 17 else (0.35 if team < 0 else rng.uniform(0.5, 1.6)),
            rng.lognormvariate(0, 0.25),
        )

    def _bot(self, login: str, activity: float, team: int = -1) -> Person:
        return Person(
            login, "Bot", login, 0, team, self.start, self.end + timedelta(days=1), activity, 0.6
        )

    def _join(
        self,
        team: int,
        username: str,
        weight: float | None = None,
        joined: str | None = None,
        left: str | None = None,
    ) -> None:
        membership = Membership(username, weight, joined or self.day(0), left)
        self.teams[team % len(self.teams)].members.append(membership)

    def _place_everyone(self) -> None:
        login = [person.login for person in self.people]
        self._place_movers(login)
        self._place_weights(login)
        self._join(1, login[7].upper())
        self._join(2, login[8], 1.0)
        for number in range(14, 18):
            joined = f"{self.day(0.1)}T09:30:00+01:00" if number == 14 else None
            self._join(number, login[number], None if number == 15 else 1.0, joined)
        for number in range(18, 21):
            half = self.day(0.5)
            self.growth.members.append(Membership(login[number], 1.0, self.day(0), half))
            self._join(number, login[number], 1.0, half)
        for number in range(21, len(self.people)):
            person = self.people[number]
            if person.team >= 0:
                self._join(number, person.login, 1.0, person.hired.strftime("%Y-%m-%d"))
        quiet = {member.github_username.lower() for member in self.teams[5].members}
        self.people = [
            Person(**{**vars(person), "is_quiet": person.login.lower() in quiet})
            for person in self.people
        ]

    def _place_movers(self, login: list[str]) -> None:
        """Add the people who move, rejoin, join late and leave early."""
        day = self.day
        self._join(0, login[0], 1.0, None, day(0.55))
        self._join(1, login[0], 1.0, day(0.55))
        self._join(1, login[1], 1.0, None, day(0.35))
        self._join(1, login[1], 1.0, day(0.6))
        self._join(3, login[9], 1.0, day(0.5))
        self._join(4, login[10], 1.0, None, day(0.7))
        self._join(1, login[13], 0.5, None, day(0.4))
        self._join(2, login[13], 0.5, None, day(0.4))
        self._join(1, login[13], 1.0, day(0.4))

    def _place_weights(self, login: list[str]) -> None:
        """Add split, zero, partial and more than whole allocations."""
        day = self.day
        self._join(2, login[2], 0.5)
        self._join(3, login[2], 0.5)
        self._join(3, login[3], 0.3)
        self._join(4, login[3], 0.7)
        self._join(4, login[4], 1.0)
        self._join(3, login[4], 0.0)
        self._join(5, login[5], 1.0)
        self._join(0, login[5], 1.0)
        self._join(0, login[6], 0.6)
        self._join(1, login[6], 0.6)
        self._join(5, login[11], 0.4, None, day(0.5))
        self._join(5, login[11], 1.0, day(0.5))
        self._join(0, login[12], 0.0)


def _team(number: int) -> Team:
    if number < len(TEAMS):
        name, description, group = TEAMS[number]
    else:
        name, description, group = f"Team {number + 1}", None, None
    return Team(name.lower().replace(" ", "-"), name, description, group)


def _login(number: int, first: str, last: str) -> str:
    """Return a login in one of the usual forms; a number makes a repeated name unique."""
    shapes = (
        f"{first[0]}{last}".lower(),
        f"{first}-{last}".lower(),
        f"{first}{last[:2]}".lower() + str(70 + number % 30),
        f"{last}{first[0]}",
        f"{first}{last}",
    )
    suffix = str(number) if number >= len(FIRST) else ""
    return shapes[number % len(shapes)] + suffix
