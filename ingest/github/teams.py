"""Reads the teams of an organisation and their direct members."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.clock import Budget, SystemClock
from ingest.github.client import GitHub
from ingest.github.credentials import read_credentials
from ingest.github.errors import GitHubUnavailable
from ingest.github.network import find_proxy, trusted
from ingest.github.responses import REFUSED, Answer, refused_token

PERMISSION = "Members: read (a classic token: the scope read:org)"


@dataclass(frozen=True)
class Account:
    """A member: GitHub's node id, which survives renames, and the login."""

    id: str
    login: str


@dataclass(frozen=True)
class GitHubTeam:
    """A team of an organisation; `parents` are the slugs of the teams above it, outermost first.

    `members` are those of the team alone, not of the teams below it.
    """

    slug: str
    name: str
    description: str | None
    created_at: datetime
    parents: tuple[str, ...] = ()
    members: tuple[Account, ...] = ()


def open_github(settings: Settings) -> GitHub:
    """Return a connection to the configured GitHub, without a time limit."""
    url, clock = settings.github_api_url, SystemClock()
    verify = trusted(url, settings.github_ca_bundle)
    return GitHub(
        url,
        read_credentials(settings),
        clock,
        Budget(clock),
        reserve=settings.github_reserve,
        verify=verify,
        proxy=find_proxy(url, verify),
    )


async def fetch_teams(github: GitHub, organisation: str) -> list[GitHubTeam]:
    """Return all teams that the token can see, by name, each with all of its members.

    Raises `TokenRefused` without the permission, `ConfigurationError` if the organisation does not
    exist, `GitHubUnavailable` for an incomplete answer: its gaps would look like people who left.
    """
    async with github:
        nodes = await _all_nodes(
            github,
            organisation,
            "teams",
            {"organisation": organisation},
            lambda answer: answer.data["organization"]["teams"],
        )
        teams = []
        parents = {node["slug"]: (node["parentTeam"] or {}).get("slug") for node in nodes}
        for node in nodes:
            page = node["members"]
            members = _whole(page["nodes"], organisation)
            if page["pageInfo"]["hasNextPage"]:
                members += await _all_nodes(
                    github,
                    organisation,
                    "team_members",
                    {"id": node["id"]},
                    lambda answer: answer.data["node"]["members"],
                    page["pageInfo"]["endCursor"],
                )
            teams.append(
                GitHubTeam(
                    node["slug"],
                    node["name"],
                    node["description"] or None,
                    datetime.fromisoformat(node["createdAt"]),
                    _chain(parents, node["slug"]),
                    tuple(Account(member["id"], member["login"]) for member in members),
                )
            )
        return teams


async def _all_nodes(
    github: GitHub,
    organisation: str,
    kind: str,
    variables: dict[str, Any],
    connection: Callable[[Answer], dict[str, Any]],
    after: str | None = None,
) -> list[dict[str, Any]]:
    """Return the nodes of a connection after a cursor, page by page."""
    nodes: list[dict[str, Any]] = []
    while True:
        answer = await github.query(kind, {**variables, "after": after})
        if answer.errors:
            raise _reason_for(answer.errors[0], organisation)
        page = connection(answer)
        nodes += _whole(page["nodes"], organisation)
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
        after = page["pageInfo"]["endCursor"]


def _whole(nodes: list[Any], organisation: str) -> list[dict[str, Any]]:
    if None in nodes:
        raise GitHubUnavailable(f"GitHub returned only a part of the teams of {organisation}")
    return nodes


def _reason_for(error: dict[str, Any], organisation: str) -> Exception:
    if error.get("type") in REFUSED:
        return refused_token(f"the teams of {organisation}", error, PERMISSION, "organisation")
    if error.get("type") == "NOT_FOUND":
        return ConfigurationError(f"GitHub shows this token no organisation {organisation!r}")
    message = error.get("message")
    return GitHubUnavailable(f"GitHub did not return all teams of {organisation}: {message}")


def _chain(parents: dict[str, str | None], slug: str) -> tuple[str, ...]:
    chain: list[str] = []
    while (parent := parents.get(slug)) and parent not in chain:
        chain.insert(0, parent)
        slug = parent
    return tuple(chain)
