"""A team configuration as time windows, and the merges in them, as in docs/metrics.md."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from demo.organisation import Organisation
from demo.records import PullRequestRecord

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Window:
    team: str
    login: str
    weight: Decimal
    joined: datetime
    left: datetime

    def holds(self, at: datetime) -> bool:
        return self.joined <= at < self.left


def moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def windows(config: list[dict[str, Any]]) -> list[Window]:
    return [
        Window(
            team["id"],
            member["github_username"].lower().removesuffix("[bot]"),
            Decimal(str(member.get("allocation_weight", 1))),
            moment(member["joined_at"]),
            moment(member["left_at"]) if member["left_at"] else datetime.max.replace(tzinfo=UTC),
        )
        for team in config
        for member in team["members"]
    ]


def merged_by_team(organisation: Organisation) -> Iterator[tuple[str, PullRequestRecord, datetime]]:
    people: dict[str, list[Window]] = defaultdict(list)
    for window in windows(organisation.team_config()):
        people[window.login].append(window)
    for row in organisation.records:
        if row["merged_at"] and row["author"]:
            at = moment(row["merged_at"])
            for window in people[row["author"].lower()]:
                if window.holds(at):
                    yield window.team, row, at


def hours(row: PullRequestRecord) -> float:
    assert row["merged_at"]
    return (moment(row["merged_at"]) - moment(row["created_at"])) / HOUR
