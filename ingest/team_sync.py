"""Brings a team file up to date with GitHub's teams, from today on; the past stays."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import LiteralString

from ingest.github.teams import Account, GitHubTeam
from ingest.teams import Member, Team, person

# Every login that an account has had in the loaded data, unless another account had it later.
LOGINS: LiteralString = """
select
    user_id,
    login
from raw.user_logins as logins
where not exists (
    select from raw.user_logins as later
    where
        lower(later.login) = lower(logins.login)
        and later.user_id <> logins.user_id
        and later.seen_at > coalesce(logins.seen_at, '-infinity')
)
"""


@dataclass
class Synced:
    """The teams with their new windows, and messages for people."""

    teams: list[Team]
    notes: list[str] = field(default_factory=list)


def sync(
    teams: Iterable[Team],
    on_github: Iterable[GitHubTeam],
    today: date,
    logins: Mapping[str, Set[str]],
) -> Synced:
    """Give a `left_at` of today to those who left GitHub's team of that id, a window to new ones.

    `logins` has the keys (`person`) of all logins of an account, by its node id: with it, people
    who were renamed are recognised. Teams that only one side has stay as they are.
    """
    teams, by_slug = list(teams), {team.slug: team for team in on_github}
    present = {person(one.login): one.id for team in by_slug.values() for one in team.members}
    people = _People(teams, logins, present)
    synced = Synced([])
    for team in teams:
        found = by_slug.pop(team.id, None)
        if found is None:
            synced.teams.append(team)
            synced.notes.append(f"GitHub has no team {team.id}: it stays as it is")
        else:
            follow = _Follow(team, found, people, datetime.combine(today, time(), UTC))
            members = [*follow.kept(), *follow.new()]
            synced.teams.append(team.model_copy(update={"members": members}))
            synced.notes += follow.notes()
    synced.notes += [
        f"GitHub's team {slug} is not in the file: to follow it, add it with an empty `members`"
        for slug, team in by_slug.items()
        if team.members
    ]
    return synced


class _People:
    """Which login of the file belongs to which account."""

    def __init__(
        self, teams: Iterable[Team], logins: Mapping[str, Set[str]], present: Mapping[str, str]
    ) -> None:
        # A former login that another account has today means that account.
        self._logins = {
            account: {login for login in former if present.get(login, account) == account}
            for account, former in logins.items()
        }
        # The login under which the file lists a person, by each of the person's logins.
        self._listed = {
            person(login): member.github_username
            for team in teams
            for member in team.members
            for login in (*member.also, member.github_username)
        }
        self.seen = {login for each in logins.values() for login in each}

    def listed_as(self, account: Account) -> str:
        """Return the login under which the file lists the account, otherwise its present one."""
        present = person(account.login)
        former = sorted(self._logins.get(account.id, ()))
        known = (self._listed[key] for key in (present, *former) if key in self._listed)
        return next(known, account.login)


class _Follow:
    """A team of the file beside GitHub's; `now` is midnight of today."""

    def __init__(self, team: Team, found: GitHubTeam, people: _People, now: datetime) -> None:
        self.team, self.people, self.now = team, people, now
        self.on_github = {person(people.listed_as(one)): one for one in found.members}
        self.gone = [member for member in team.members if self._has_left(member)]
        holding = {person(one.github_username) for one in team.members if one.end > now}
        self.come = [login for login in self.on_github if login not in holding]

    def _has_left(self, member: Member) -> bool:
        """Whether GitHub's team lost a member; future windows are plans, which stay."""
        is_current = member.joined_at < self.now and member.left_at is None
        return is_current and person(member.github_username) not in self.on_github

    def kept(self) -> Iterator[Member]:
        for member in self.team.members:
            has_left = member in self.gone
            yield member.model_copy(update={"left_at": self.now}) if has_left else member

    def new(self) -> Iterator[Member]:
        for login in self.come:
            listed = self.people.listed_as(self.on_github[login])
            yield Member(
                github_username=listed,
                joined_at=self.now,
                allocation_weight=self.team.usual_weight,
            )

    def notes(self) -> Iterator[str]:
        for login, account in self.on_github.items():
            if login != person(account.login) and login not in self.come:
                listed = self.people.listed_as(account)
                yield f"{listed} in {self.team.id} is {account.login} on GitHub"
        unknown = [
            member.github_username
            for member in self.gone
            if person(member.github_username) not in self.people.seen
        ]
        if unknown and self.come:
            come = ", ".join(self.on_github[login].login for login in self.come)
            yield (
                f"{self.team.id}: the loaded data does not have {', '.join(unknown)}: if {come} is "
                "a new login of the same person, change the login in the file instead"
            )
