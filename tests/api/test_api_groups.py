"""Groups: their list, their figures in place of a team's, and who may read them."""

import json
from typing import Any

import pytest
from api_support import WEB_KEY, Client, settings_for
from pydantic import SecretStr

from api.app import create_app
from dora.api_keys import new_key

PATHS = ["velocity", "lead-time", "delivery", "delivery?unit=month", "deployments", "pull-requests"]


def test_groups_are_listed_with_their_parents_and_teams(client):
    assert client.get("/groups").json()["data"] == [
        {"id": "all", "name": "All teams", "parent": None, "teams": ["core", "web"]},
        {"id": "eng", "name": "Eng", "parent": "all", "teams": ["core", "web"]},
        {"id": "eng.site", "name": "Eng/Site", "parent": "eng", "teams": ["web"]},
    ]


def test_teams_that_left_a_group_are_not_listed(client, marts):
    marts.run("update marts.dim_group_teams set is_current = false where team_id = 'web'")
    teams = {group["id"]: group["teams"] for group in client.get("/groups").json()["data"]}
    assert teams == {"all": ["core"], "eng": ["core"], "eng.site": []}


def test_group_stands_where_a_team_does(client):
    answer = client.get("/metrics/team/all/velocity").json()
    assert answer["team"] == {"id": "all", "name": "All teams"}
    weeks = [(row["week"], row["prs_merged"]) for row in answer["data"]]
    assert weeks == [("2026-01-05", 2), ("2026-01-12", 1)]
    (month,) = client.get("/metrics/team/all/lead-time").json()["data"]
    assert (month["prs_merged"], month["median_lead_time_hours"]) == (3, 24)
    for unit in ("week", "month"):
        (row,) = client.get(f"/metrics/team/all/delivery?unit={unit}").json()["data"]
        assert row["deployments"] == 3


def test_pull_request_of_a_group_is_listed_once_with_its_weight(client):
    rows = client.get("/metrics/team/all/pull-requests").json()["data"]
    assert [(row["number"], row["weight"]) for row in rows] == [(3, 1), (1, 1), (2, 1)]


def test_pages_of_a_group_continue_at_the_cursor(client):
    page = client.get("/metrics/team/all/pull-requests?limit=2").json()
    more = client.get(f"/metrics/team/all/pull-requests?cursor={page['next_cursor']}").json()
    assert [row["number"] for row in page["data"] + more["data"]] == [3, 1, 2]


def test_deployment_of_a_group_has_its_share_and_weights(client):
    rows = client.get("/metrics/team/all/deployments").json()["data"]
    assert [(row["deployment_id"], row["share"]) for row in rows] == [("D_2", 1), ("D_1", 1)]
    assert [change["weight"] for change in rows[1]["changes"]] == [1, 1]


def test_groups_and_teams_are_compared_together(client):
    answer = client.get("/metrics/compare?team=web&team=all&team=eng.site").json()
    assert [one["team"]["id"] for one in answer["data"]] == ["web", "all", "eng.site"]
    merged = [sum(week["prs_merged"] for week in one["velocity"]) for one in answer["data"]]
    assert merged == [2, 3, 2]


def test_open_pull_requests_and_reviews_of_all_teams_are_those_of_the_teams(demo):
    app = create_app(settings_for(demo.url))
    client = Client(app)

    def rows(team: str, path: str) -> list[dict[str, Any]]:
        return client.get(f"/metrics/team/{team}/{path}").json()["data"]

    teams = [team["id"] for team in client.get("/teams").json()["data"]]
    path = "pull-requests?state=open&limit=1000"
    opened = [row["url"] for row in rows("all", path)]
    assert len(opened) == len(set(opened)) > 0
    assert set(opened) == {row["url"] for team in teams for row in rows(team, path)}
    reviewed = {row["month"]: row["prs_reviewed"] for row in rows("all", "reviews")}
    for team in teams:
        for row in rows(team, "reviews"):
            assert row["prs_reviewed"] <= reviewed[row["month"]]
    assert sum(reviewed.values()) > 0
    app.state.marts.close()


@pytest.mark.parametrize("path", PATHS)
def test_key_reads_a_group_only_if_it_may_read_all_of_its_teams(app, path: str):
    limited = Client(app, key=WEB_KEY)
    statuses = {
        group: limited.get(f"/metrics/team/{group}/{path}").status_code
        for group in ("eng.site", "eng", "all", "none")
    }
    assert statuses == {"eng.site": 200, "eng": 403, "all": 403, "none": 403}


def test_key_does_not_read_a_group_that_had_another_team(app, marts):
    marts.run("insert into marts.dim_group_teams values ('eng.site', 'core', false)")
    limited = Client(app, key=WEB_KEY)
    assert limited.get("/metrics/team/eng.site/velocity").status_code == 403
    assert limited.get("/metrics/compare?team=web&team=eng.site").status_code == 403
    assert limited.get("/groups").json()["data"] == []


def test_key_reads_all_only_if_it_is_for_all_teams(app, marts):
    marts.run("delete from marts.dim_group_teams where team_id = 'core'")
    limited = Client(app, key=WEB_KEY)
    assert limited.get("/metrics/team/all/velocity").status_code == 403
    assert limited.get("/metrics/compare?team=all").status_code == 403
    assert [group["id"] for group in limited.get("/groups").json()["data"]] == ["eng", "eng.site"]


@pytest.mark.parametrize("group", ["eng", "all"])
def test_key_that_names_a_group_as_a_team_may_not_read_the_group(marts, group: str):
    """It may be the key of a team that had this id before."""
    key, entry = new_key("former team", [group])
    settings = settings_for(marts.url).model_copy(
        update={"api_keys": SecretStr(json.dumps([entry]))}
    )
    app = create_app(settings)
    client = Client(app, key=key)
    assert client.get(f"/metrics/team/{group}/velocity").status_code == 403
    assert client.get(f"/metrics/compare?team={group}").status_code == 403
    assert client.get("/groups").json()["data"] == []
    app.state.marts.close()
