"""Teams of organisations: members with roles, child teams, pages."""

import httpx
import pytest

from demo.github import GitHub
from demo.organisation import Organisation
from tests.demo.asking import ask, data

MEMBERS = """
query($id: ID!, $first: Int!, $after: String, $membership: TeamMembershipType = ALL) {
  node(id: $id) { ... on Team {
    slug
    parentTeam { slug }
    members(first: $first, after: $after, membership: $membership) {
      totalCount
      pageInfo { hasNextPage endCursor }
      edges { role node { login } }
    }
  } }
}
"""
TEAMS = """
query($login: String!, $first: Int!, $after: String) {
  organization(login: $login) {
    teams(first: $first, after: $after, orderBy: {field: NAME, direction: ASC}) {
      totalCount
      pageInfo { hasNextPage endCursor }
      nodes { slug }
    }
  }
}
"""
AT = "2026-01-01T00:00:00Z"


@pytest.fixture
def engineering(github: GitHub) -> str:
    """The id of a team with one maintainer, and a child team with two members."""
    acme = github.account("acme")
    team = github.add_team(acme, "Engineering", AT)
    child = github.add_team(acme, "Web", AT, parent=team)
    github.join_team(team, github.account("zoe"), "MAINTAINER")
    for login in ("ada", "bob"):
        github.join_team(child, github.account(login))
    return team.id


@pytest.mark.parametrize(
    ("membership", "expected"),
    [
        ("IMMEDIATE", [("zoe", "MAINTAINER")]),
        ("CHILD_TEAM", [("ada", "MEMBER"), ("bob", "MEMBER")]),
        ("ALL", [("ada", "MEMBER"), ("bob", "MEMBER"), ("zoe", "MAINTAINER")]),
    ],
)
def test_members_of_child_teams_are_members_too(
    client: httpx.Client, engineering: str, membership: str, expected: list[tuple[str, str]]
) -> None:
    team = data(client, MEMBERS, id=engineering, first=100, membership=membership)["node"]
    assert [(e["node"]["login"], e["role"]) for e in team["members"]["edges"]] == expected


def test_members_come_page_by_page(client: httpx.Client, engineering: str) -> None:
    logins, after = [], None
    while True:
        page = data(client, MEMBERS, id=engineering, first=2, after=after)["node"]["members"]
        logins.append([edge["node"]["login"] for edge in page["edges"]])
        assert page["totalCount"] == 3
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert logins == [["ada", "bob"], ["zoe"]]


def test_teams_come_by_name_and_page_by_page(client: httpx.Client, engineering: str) -> None:
    first = data(client, TEAMS, login="acme", first=1)["organization"]["teams"]
    assert (first["totalCount"], first["nodes"]) == (2, [{"slug": "engineering"}])
    after = first["pageInfo"]["endCursor"]
    second = data(client, TEAMS, login="ACME", first=1, after=after)["organization"]["teams"]
    assert (second["pageInfo"]["hasNextPage"], second["nodes"]) == (False, [{"slug": "web"}])


def test_organisation_that_does_not_exist_is_null_with_an_error(client: httpx.Client) -> None:
    body = ask(client, TEAMS, login="ada", first=1)
    assert body["data"] == {"organization": None}
    assert body["errors"][0]["type"] == "NOT_FOUND"


def test_company_has_its_present_teams_below_one_for_everybody(organisation: Organisation) -> None:
    github = GitHub.from_organisation(organisation)
    teams = {team.slug: team for team in github.teams("harborlight")}
    assert teams.keys() == {"engineering", *(team.id for team in organisation.teams)} - {"growth"}
    for team in organisation.teams[:-1]:
        present = {
            member.github_username.lower()
            for member in team.members
            if member.left_at is None and "[" not in member.github_username
        }
        found = teams[team.id]
        assert {account.login.lower() for account in found.roles} == present
        assert found.parent_team is teams["engineering"]
