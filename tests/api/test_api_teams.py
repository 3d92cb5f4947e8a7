import pytest
from api_support import WEB_KEY, Client


def members(client: Client, team_id: str) -> list[tuple[str, float]]:
    teams = {team["id"]: team for team in client.get("/teams").json()["data"]}
    return [
        (member["github_username"], member["allocation_weight"])
        for member in teams[team_id]["members"]
    ]


def test_teams_are_listed_with_their_members_at_as_of(client):
    assert client.get("/teams").json() == {
        "as_of": "2026-01-20T00:00:00Z",
        "reporting_timezone": "UTC",
        "data": [
            {
                "id": "core",
                "name": "Core",
                "description": "Shared services",
                "members": [{"github_username": "ada", "allocation_weight": 1.0}],
            },
            {
                "id": "web",
                "name": "Web",
                "description": None,
                "members": [{"github_username": "bob", "allocation_weight": 1.0}],
            },
        ],
    }


@pytest.mark.parametrize(
    ("as_of", "core", "web"),
    [
        pytest.param("2025-12-31T23:59:59Z", [], [], id="nobody has joined"),
        pytest.param("2026-01-01T00:00Z", [("ada", 0.5)], [("ada", 0.5), ("bob", 1.0)], id="join"),
        pytest.param("2026-01-11T23:59:59Z", [("ada", 0.5)], [("ada", 0.5), ("bob", 1.0)], id="in"),
        pytest.param("2026-01-12T00:00Z", [("ada", 1.0)], [("bob", 1.0)], id="instant of the move"),
        pytest.param(None, [], [], id="nothing loaded"),
    ],
)
def test_membership_includes_joining_and_excludes_leaving(client, marts, as_of, core, web):
    marts.run("update marts.dim_build set as_of = %s", as_of)
    assert members(client, "core") == core
    assert members(client, "web") == web


def test_members_are_sorted_by_username_ignoring_case(client, marts):
    marts.run(
        "insert into marts.dim_team_memberships values"
        " ('web', 'Amy', 0.25, '2026-01-01', null), ('web', 'zoe', 0, '2026-01-01', null)"
    )
    assert members(client, "web") == [("Amy", 0.25), ("bob", 1.0), ("zoe", 0.0)]


def test_key_sees_only_its_teams(app):
    answer = Client(app, key=WEB_KEY).get("/teams")
    assert [team["id"] for team in answer.json()["data"]] == ["web"]


def test_no_teams_is_an_empty_list(client, marts):
    marts.run("delete from marts.dim_teams")
    assert client.get("/teams").json()["data"] == []


def test_health_returns_as_of_without_a_key(anonymous):
    answer = anonymous.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "as_of": "2026-01-20T00:00:00Z"}


def test_root_links_to_the_openapi_document(anonymous):
    links = anonymous.get("/").json()
    assert anonymous.get(links["openapi"]).status_code == 200
