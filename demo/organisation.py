"""A seeded, realistic company: the same arguments give the same records, byte for byte.

Nothing reads the clock: all instants are in the `months` before `end`.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from demo.edge_cases import Planter
from demo.model import instant, node_id, sha1
from demo.people import OWNER, Person, Staff, Team, words
from demo.pull_request_generator import Office, Work, text
from demo.records import DraftEventRecord, PullRequestRecord, ReviewRecord

# A Friday afternoon: the current week is almost complete.
END = "2026-06-26T16:00:00Z"
REPOSITORIES = words(
    """payments-api storefront-web platform-infra ios-app data-pipelines identity-service
    ledger checkout deploy-tools android-app warehouse-models permissions"""
)


@dataclass(frozen=True)
class Rename:
    """A person who changes login at `at`, after the last record.

    The team configuration has the old login. So does GitHub, until a test calls
    `github.rename_account(rename.old_login, rename.new_login)`.
    """

    user_id: str
    old_login: str
    new_login: str
    at: str


@dataclass
class Organisation:
    """`repositories` are (name with owner, created at, archived); `records` are by creation.

    `planted` has the index in `records` of each special pull request of `demo.edge_cases`.
    """

    end: str
    teams: list[Team]
    people: list[Person]
    repositories: list[tuple[str, str, bool]]
    records: list[PullRequestRecord]
    renames: list[Rename]
    planted: dict[str, int] = field(default_factory=dict)

    def team_config(self) -> list[dict[str, Any]]:
        """Return the value of TEAM_CONFIG_JSON, before `json.dumps`."""
        return [team.to_config() for team in self.teams]

    def record(self, plant: str) -> PullRequestRecord:
        """Return the special pull request of that name."""
        return self.records[self.planted[plant]]


def generate(
    seed: int = 7,
    pull_requests: int = 6000,
    *,
    teams: int = 6,
    people: int = 40,
    repositories: int = 12,
    months: int = 18,
    end: datetime | str = END,
) -> Organisation:
    """Return an organisation of that size; `pull_requests` includes the special ones.

    It also has one more team, dissolved half-way, and one more repository without pull requests.
    Raises `ValueError` for fewer than 24 people, 6 teams, 12 months or 100 pull requests, which
    cannot hold all edge cases.
    """
    if pull_requests < 100 or months < 12:
        raise ValueError(
            "an organisation needs at least 100 pull requests and 12 months, not "
            f"{pull_requests} and {months}"
        )
    rng = random.Random(seed)
    until = datetime.fromisoformat(instant(end))
    start = (until - timedelta(days=round(months * 30.44))).replace(hour=0, minute=0, second=0)
    staff = Staff(rng, start, until, people, teams)
    names = [f"{OWNER}/{_repository_name(number)}" for number in range(repositories)]
    office = Office(rng, staff, names)
    planted = Planter(office).plant()
    works = planted + office.draw(pull_requests - len(planted))
    records, places = _write_down(works)
    created = text(int(start.timestamp()))
    renamed = staff.people[8]
    return Organisation(
        text(office.end),
        [*staff.teams, staff.growth],
        [*staff.people, *staff.bots],
        [(name, created, False) for name in names] + [(f"{OWNER}/handbook", created, True)],
        records,
        [Rename(renamed.id, renamed.login, f"{renamed.login}-harborlight", text(office.end))],
        places,
    )


def _repository_name(number: int) -> str:
    return REPOSITORIES[number] if number < len(REPOSITORIES) else f"service-{number + 1}"


def _write_down(works: list[Work]) -> tuple[list[PullRequestRecord], dict[str, int]]:
    """Return records by creation, numbered per repository, and the indexes of the special ones."""
    records: list[PullRequestRecord] = []
    places: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for work in sorted(works, key=lambda work: work.created):
        number = numbers[work.repository] = numbers.get(work.repository, 0) + 1
        if work.plant is not None:
            places[work.plant] = len(records)
        records.append(_record(work, number))
    return records, places


def _record(work: Work, number: int) -> PullRequestRecord:
    id = node_id("PR", work.repository, number)
    merged = work.closed if work.state == "MERGED" else None
    author, merger = work.author, work.merger
    return {
        "repository": work.repository,
        "number": number,
        "title": work.title,
        "author": author.login if author else None,
        "state": work.state,
        "created_at": text(work.created),
        "updated_at": text(work.last_moment()),
        "closed_at": text(work.closed) if work.closed is not None else None,
        "merged_at": text(merged) if merged is not None else None,
        "merged_by": merger.login if merger else None,
        "merge_commit_sha": sha1(id, "merge") if merged is not None else None,
        "base_ref": "main",
        "head_ref": work.head,
        "first_commit_at": text(work.first_commit) if work.first_commit is not None else None,
        "commits": work.commits,
        "reviews": _reviews(work, id),
        "id": id,
        "url": f"https://github.com/{work.repository}/pull/{number}",
        "repository_id": node_id("R", work.repository.lower()),
        "author_id": author.id if author else None,
        "author_type": author.type if author else None,
        "merged_by_id": merger.id if merger else None,
        "merged_by_type": merger.type if merger else None,
        "is_draft": work.is_draft,
        "draft_events": _events(work, id),
        "additions": work.additions,
        "deletions": work.deletions,
        "changed_files": work.changed_files,
        "labels": work.labels,
    }


def _reviews(work: Work, id: str) -> list[ReviewRecord]:
    return [
        {
            "id": node_id("PRR", id, position),
            "author": reviewer.login if reviewer else None,
            "author_id": reviewer.id if reviewer else None,
            "author_type": reviewer.type if reviewer else None,
            "state": state,
            "submitted_at": text(at) if at is not None else None,
        }
        for position, (at, reviewer, state) in enumerate(work.reviews, 1)
    ]


def _events(work: Work, id: str) -> list[DraftEventRecord]:
    return [
        {"id": node_id("DE", id, position), "event": event, "created_at": text(at)}
        for position, (at, event) in enumerate(work.events, 1)
    ]
