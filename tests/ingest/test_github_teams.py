"""Teams of an organisation, read from the demo's GitHub."""

import asyncio
from datetime import UTC, datetime

import pytest

from demo.github import GitHub
from demo.server import Fault, Server
from dora.errors import ConfigurationError, UnavailableError
from dora.settings import Settings
from ingest.github.teams import GitHubTeam, fetch_teams, open_github

AT = "2026-01-01T12:00:00Z"


def fetch(settings: Settings, organisation: str = "acme") -> list[GitHubTeam]:
    return asyncio.run(fetch_teams(open_github(settings), organisation))


def test_nested_teams_name_the_teams_above_them_and_only_direct_members(
    github: GitHub, settings: Settings
) -> None:
    acme = github.account("acme", "Organization")
    engineering = github.add_team(acme, "Engineering", AT)
    product = github.add_team(acme, "Product", AT, parent=engineering)
    web = github.add_team(acme, "Web", AT, parent=product, description="The shop")
    github.join_team(web, github.account("ada"))
    github.join_team(product, github.account("bob"), "MAINTAINER")
    found = {team.slug: team for team in fetch(settings)}
    assert found["web"].parents == ("engineering", "product")
    assert found["web"].description == "The shop"
    assert found["web"].created_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert {slug: [one.login for one in team.members] for slug, team in found.items()} == {
        "engineering": [],
        "product": ["bob"],
        "web": ["ada"],
    }


def test_all_pages_of_teams_and_members_are_read(
    github: GitHub, hub: Server, settings: Settings
) -> None:
    acme = github.account("acme", "Organization")
    for number in range(60):
        team = github.add_team(acme, f"Team {number:02}", AT)
        for member in range(205 if number == 59 else 1):
            github.join_team(team, github.account(f"user-{member:03}"))
    found = fetch(settings)
    assert [team.slug for team in found] == [f"team-{number:02}" for number in range(60)]
    assert [one.login for one in found[59].members] == [f"user-{n:03}" for n in range(205)]
    asked = [request.operation for request in hub.requests]
    assert asked == ["Teams", "Teams", "TeamMembers", "TeamMembers"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(None, "organisation permission Members: read", id="field refused"),
        pytest.param(
            {
                "errors": [
                    {
                        "type": "INSUFFICIENT_SCOPES",
                        "message": "Your token has not been granted the required scopes to execute "
                        "this query. The 'teams' field requires one of the following scopes: "
                        "['read:org'], but your token has only been granted the: ['repo'] scopes.",
                    }
                ]
            },
            "read:org",
            id="scope missing",
        ),
    ],
)
def test_missing_permission_is_one_plain_line(
    github: GitHub, hub: Server, settings: Settings, body: dict[str, object] | None, said: str
) -> None:
    github.account("acme", "Organization")
    if body is None:
        github.hidden_fields = {"Organization.teams"}
    else:
        hub.before_request = lambda _operation, _variables: Fault(status=200, body=body)
    with pytest.raises(ConfigurationError) as caught:
        fetch(settings)
    [fault] = caught.value.faults
    assert said in fault
    assert "\n" not in fault


def test_unknown_organisation_is_named(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no organisation 'nobody'"):
        fetch(settings, "nobody")


def test_gap_in_the_answer_ends_the_run_instead_of_looking_like_people_who_left(
    github: GitHub, hub: Server, settings: Settings
) -> None:
    acme = github.account("acme", "Organization")
    team = github.add_team(acme, "Web", AT)
    github.join_team(team, github.account("ada"))

    def without_member(body: dict[str, object]) -> dict[str, object]:
        body["data"]["organization"]["teams"]["nodes"][0]["members"]["nodes"] = [None]  # type: ignore[index]
        return body

    hub.before_request = lambda _operation, _variables: Fault(rewrite=without_member)
    with pytest.raises(UnavailableError, match="only a part of the teams of acme"):
        fetch(settings)
