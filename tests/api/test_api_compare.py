import csv
import io

import pytest
from api_support import WEB_KEY, Client

PATH = "/metrics/compare"


def test_several_teams_in_the_order_asked_for_with_their_own_figures(client):
    answer = client.get(PATH, params={"team": ["web", "core", "web"]}).json()
    assert answer["as_of"] == "2026-01-20T00:00:00Z"
    assert [each["team"] for each in answer["data"]] == [
        {"id": "web", "name": "Web"},
        {"id": "core", "name": "Core"},
    ]
    for each in answer["data"]:
        path = f"/metrics/team/{each['team']['id']}"
        assert each["velocity"] == client.get(f"{path}/velocity").json()["data"]
        assert each["lead_time"] == client.get(f"{path}/lead-time").json()["data"]
    assert [len(each["velocity"]) for each in answer["data"]] == [1, 3]


def test_dates_hold_for_weeks_and_months(client):
    asked = {"team": ["web", "core"], "from": "2026-01-02", "to": "2026-01-12"}
    web, core = client.get(PATH, params=asked).json()["data"]
    assert (len(web["velocity"]), web["lead_time"]) == (1, [])
    assert [row["week"] for row in core["velocity"]] == ["2026-01-05", "2026-01-12"]


def test_as_csv_a_line_is_a_week_or_a_month(client):
    answer = client.get(PATH, params={"team": ["web", "core"]}, headers={"Accept": "text/csv"})
    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(line["team_id"], line["week"], line["month"]) for line in lines] == [
        ("web", "2026-01-05", ""),
        ("web", "", "2026-01-01"),
        ("core", "2026-01-05", ""),
        ("core", "2026-01-12", ""),
        ("core", "2026-01-19", ""),
    ]
    assert float(lines[1]["median_lead_time_hours"]) == 17.0
    assert lines[1]["contributors"] == ""


def test_one_team_of_others_refuses_it_all(app):
    limited = Client(app, key=WEB_KEY)
    assert limited.get(PATH, params={"team": "web"}).status_code == 200
    for other in ("core", "nobody"):
        assert limited.get(PATH, params={"team": ["web", other]}).status_code == 403


@pytest.mark.parametrize("team", ["nobody", "unassigned", "w\x00b", "web' or '1'='1"])
def test_an_unknown_team_is_named(client, team):
    answer = client.get(PATH, params={"team": ["web", team]})
    assert answer.status_code == 404
    assert repr(team) in answer.json()["detail"]


@pytest.mark.parametrize("teams", [[], [f"t{n}" for n in range(21)]], ids=["none", "too many"])
def test_the_number_of_teams_is_bounded(client, teams):
    answer = client.get(PATH, params={"team": teams})
    assert answer.status_code == 422
    assert answer.json()["parameter"] == "team"
