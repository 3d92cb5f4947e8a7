"""The groups of teams: their windows, their weights in a pull request, their members."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from .pull_requests import UNASSIGNED, Attribution
from .records import Membership, Record, configured_instant, team_id

ALL = "all"
ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class GroupWindow:
    """A window of a team in a group; `left_at` is null if it has no end."""

    team_id: str
    group_id: str
    joined_at: datetime = ALWAYS
    left_at: datetime | None = None

    def holds_at(self, at: datetime) -> bool:
        return self.joined_at <= at and (self.left_at is None or at < self.left_at)


def group_windows(teams: Iterable[Record]) -> Iterator[GroupWindow]:
    """Yield the windows of each team in `all`, in its groups and in those that contain them."""
    for team in teams:
        yield GroupWindow(team_id(team), ALL)
        configured = team.get("groups") or ([{"path": team["group"]}] if team.get("group") else [])
        for window in configured:
            joined_at, left_at = window.get("joined_at"), window.get("left_at")
            parts = [_slug(part) for part in window["path"].split("/")]
            for depth in range(1, len(parts) + 1):
                yield GroupWindow(
                    team_id(team),
                    ".".join(parts[:depth]),
                    ALWAYS if joined_at is None else configured_instant(joined_at),
                    None if left_at is None else configured_instant(left_at),
                )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def in_groups(
    attributions: Sequence[Attribution], windows: Mapping[str, Sequence[GroupWindow]]
) -> Iterator[Attribution]:
    """Yield the attributions to groups of one pull request, given those to teams."""
    weights: dict[str, Decimal] = {}
    for one in attributions:
        if one.team_id != UNASSIGNED:
            for window in windows[one.team_id]:
                if window.holds_at(one.attributed_at):
                    weight = weights.get(window.group_id, Decimal())
                    weights[window.group_id] = min(Decimal(1), weight + one.weight)
    for group_id, weight in weights.items():
        yield replace(attributions[0], team_id=group_id, weight=weight)


def members_of_groups(
    memberships: Iterable[Membership], windows: Mapping[str, Sequence[GroupWindow]]
) -> dict[str, list[Membership]]:
    """Return the memberships of each group, cut to the windows of the teams in it."""
    members: dict[str, list[Membership]] = {}
    for membership in memberships:
        for window in windows[membership.team_id]:
            joined_at = max(membership.joined_at, window.joined_at)
            ends = [end for end in (membership.left_at, window.left_at) if end is not None]
            if not ends or joined_at < min(ends):
                cut = replace(
                    membership,
                    team_id=window.group_id,
                    joined_at=joined_at,
                    left_at=min(ends, default=None),
                )
                members.setdefault(window.group_id, []).append(cut)
    return members
