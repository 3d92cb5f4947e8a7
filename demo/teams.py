"""Teams of organisations on the demo's GitHub: the objects, their store, and their resolvers."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from demo.model import Account, instant, node_id
from demo.pages import Page, page_of_keys

MEMBER, MAINTAINER = "MEMBER", "MAINTAINER"


@dataclass(slots=True, eq=False)
class Team:
    """`roles` has the role of each direct member."""

    id: str
    organisation: Account
    slug: str
    name: str
    created_at: str
    description: str | None = None
    parent_team: "Team | None" = None
    roles: dict[Account, str] = field(default_factory=dict)
    type: str = "Team"


@dataclass(slots=True)
class Edge:
    """A member of a team; those of a child team have their role there."""

    node: Account
    role: str


@dataclass(slots=True)
class MemberPage(Page):
    edges: tuple[Edge, ...] = ()


class WithTeams:
    """The part of `demo.github.GitHub` that holds teams."""

    lock: threading.RLock

    def __init__(self) -> None:
        super().__init__()
        self._teams: dict[str, Team] = {}

    def add_team(
        self,
        organisation: Account,
        name: str,
        at: datetime | str,
        *,
        slug: str | None = None,
        description: str | None = None,
        parent: Team | None = None,
    ) -> Team:
        """Create a team without members; the default slug is the name in lower case, with `-`."""
        slug = slug or name.lower().replace(" ", "-")
        id = node_id("T", organisation.id, slug)
        with self.lock:
            team = Team(id, organisation, slug, name, instant(at), description, parent)
            self._teams[id] = team
            return team

    def team(self, organisation: str, slug: str) -> Team:
        """Return it; raise `KeyError` if there is none."""
        return {team.slug: team for team in self.teams(organisation)}[slug]

    def teams(self, organisation: str) -> list[Team]:
        with self.lock:
            return [
                team
                for team in self._teams.values()
                if team.organisation.login.lower() == organisation.lower()
            ]

    def delete_team(self, team: Team) -> None:
        with self.lock:
            del self._teams[team.id]

    def join_team(self, team: Team, account: Account, role: str = MEMBER) -> None:
        with self.lock:
            team.roles[account] = role

    def leave_team(self, team: Team, account: Account) -> None:
        with self.lock:
            del team.roles[account]

    def edges_of(self, team: Team, membership: str) -> list[Edge]:
        """Return members: `IMMEDIATE` ones, those of `CHILD_TEAM`s at any depth, or `ALL`."""
        roles: dict[Account, str] = {}
        if membership != "CHILD_TEAM":
            roles |= team.roles
        if membership != "IMMEDIATE":
            for child in self._teams.values():
                if child.parent_team is team:
                    roles = {edge.node: edge.role for edge in self.edges_of(child, "ALL")} | roles
        return [Edge(account, role) for account, role in roles.items() if not account.is_deleted]


def team_resolvers(
    checked: Callable[[Any, int | None], int],
) -> Iterator[tuple[tuple[str, str], Callable[..., Any]]]:
    """Yield the resolvers by type and field; `checked` refuses page sizes as GitHub does."""

    def teams(
        source: Account,
        info: Any,
        first: int | None = None,
        after: str | None = None,
        orderBy: dict[str, str] | None = None,
    ) -> Page:
        found = info.context.github.teams(source.login)
        by_key = {(team.name.lower(), team.id): team for team in found}
        is_descending = (orderBy or {}).get("direction") == "DESC"
        taken, page = page_of_keys(sorted(by_key), checked(info, first), after, is_descending)
        page.nodes = [by_key[key[0], key[1]] for key in taken]
        return page

    def members(
        source: Team,
        info: Any,
        first: int | None = None,
        after: str | None = None,
        membership: str = "ALL",
    ) -> MemberPage:
        edges = info.context.github.edges_of(source, membership)
        by_key = {(edge.node.login.lower(), edge.node.id): edge for edge in edges}
        taken, page = page_of_keys(sorted(by_key), checked(info, first), after, False)
        shown = tuple(by_key[key[0], key[1]] for key in taken)
        return MemberPage(
            [edge.node for edge in shown],
            page.total_count,
            page.end_cursor,
            page.has_next_page,
            shown,
        )

    yield ("Organization", "teams"), teams
    yield ("Team", "members"), members
