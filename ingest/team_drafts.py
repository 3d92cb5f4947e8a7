"""First team files: from GitHub's teams, or from the repositories in which people work."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Any, LiteralString

from slugify import slugify

from dora.errors import ConfigurationError
from ingest.github.teams import GitHubTeam
from ingest.team_groups import RESERVED
from ingest.teams import Team, parse_teams, person

# Where a person worked in the last days of the loaded data decides on the team.
DAYS = 180
# The comments of the drafts.
FROM_GITHUB = """\
Drafted from the teams of {organisation} on GitHub, which does not say when somebody joined:
joined_at is the day on which the team was created. Somebody in several teams counts equally
in each."""
FROM_WORK = f"""\
Drafted from the loaded pull requests: each repository is a team, of the people who opened most of
their pull requests there in the last {DAYS} days of the data. joined_at is the day of a person's
first loaded pull request."""
# The latest login of an account counts. A deleted account has no login.
AUTHORS: LiteralString = """
with

names as (
    select distinct on (user_id)
        user_id,
        login
    from raw.user_logins
    order by user_id, seen_at desc nulls last, login collate "C"
),

opened as (
    select
        coalesce(names.login, pull_requests.author_login) as login,
        pull_requests.repository,
        pull_requests.created_at
    from raw.pull_requests as pull_requests
    left join names
        on pull_requests.author_id = names.user_id
    where
        pull_requests.vanished_at is null
        and pull_requests.author_login is not null
        and coalesce(pull_requests.author_type, 'User') not in ('Bot', 'Mannequin')
)

select
    login,
    repository,
    count(*) filter (
        where created_at > (select max(created_at) from opened) - make_interval(days => %(days)s)
    ) as recent,
    min(created_at) as first_at
from opened
group by login, repository
order by login collate "C", repository collate "C"
"""


@dataclass(frozen=True)
class Work:
    """One person's pull requests in one repository: how many lately, and when the first."""

    login: str
    repository: str
    recent: int
    first_at: datetime


def draft_from_github(organisation: str, teams: Iterable[GitHubTeam]) -> list[Team]:
    """Return a draft of the teams with members, in groups named after the teams above them.

    No group may have the id of a team: a team above that has members is named in the description.

    GitHub does not say when somebody joined, but not before the team was created. Somebody in
    several teams counts equally in each. Raises `ConfigurationError` for unusable ids, and if there
    is no team.
    """
    found = [team for team in teams if team.members]
    if not found:
        raise ConfigurationError(f"{organisation} has no team with members that the token can see")
    in_teams = Counter(member.login for team in found for member in team.members)
    taken = RESERVED.keys() | {team.slug for team in found}
    drafted = []
    for team in found:
        # A team above that has members cannot be a group as well.
        above = [*takewhile(lambda slug: slug not in taken, team.parents)]
        description = team.description
        if len(above) < len(team.parents):
            part = f"part of {'/'.join(team.parents)}"
            description = "; ".join(filter(None, (description, part)))
        group = "/".join(above) or None
        members = [
            _member(member.login, team.created_at, in_teams[member.login])
            for member in team.members
        ]
        drafted.append(_team(team.slug, team.name, description, members) | {"group": group})
    return parse_teams(json.dumps(drafted), "the draft")


def draft_from_work(work: Sequence[Work]) -> list[Team]:
    """Return a team for each repository, with the people who lately worked there most.

    Equal counts: the repository first in the alphabet. A person joins on the day of the first pull
    request in the loaded data. Raises `ConfigurationError` for unusable ids.
    """
    home: dict[str, Work] = {}
    first: dict[str, datetime] = {}
    for each in work:
        first[each.login] = min(first.get(each.login, each.first_at), each.first_at)
        if each.recent > (home[each.login].recent if each.login in home else 0):
            home[each.login] = each
    people: dict[str, list[str]] = defaultdict(list)
    for login, each in home.items():
        people[each.repository].append(login)
    names = Counter(slugify(repository.partition("/")[2]) for repository in people)
    if not people:
        raise ConfigurationError("no pull request of a person is loaded: run `dora ingest`")
    drafted = []
    for repository, logins in sorted(people.items()):
        name = repository.partition("/")[2]
        # Two owners may have a repository of this name.
        name = name if names[slugify(name)] == 1 else repository
        members = [_member(login, first[login]) for login in logins]
        drafted.append(_team(slugify(name), name, f"people who work in {repository}", members))
    return parse_teams(json.dumps(drafted), "the draft")


def without_automation(work: Iterable[Work], patterns: Iterable[str]) -> list[Work]:
    """Return the work of people; `patterns` are those of `AUTOMATION_LOGINS`."""
    keys = [person(pattern) for pattern in patterns]
    return [each for each in work if not any(fnmatchcase(person(each.login), key) for key in keys)]


def _team(
    team_id: str, name: str, description: str | None, members: list[dict[str, str]]
) -> dict[str, Any]:
    return {"id": team_id, "name": name, "description": description, "members": members}


def _member(login: str, joined_at: datetime, teams: int = 1) -> dict[str, str]:
    """Return a member with an equal share for each of `teams`, rounded down to two places."""
    weight = (1 / Decimal(teams)).quantize(Decimal("0.01"), ROUND_DOWN)
    return {
        "github_username": login,
        "allocation_weight": str(weight),
        "joined_at": f"{joined_at.astimezone(UTC):%Y-%m-%d}",
    }
