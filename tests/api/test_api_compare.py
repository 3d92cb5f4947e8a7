import csv
import io

import pytest
from api_support import WEB_KEY, Client

PATH = "/metrics/compare"
AS_CSV = {"Accept": "text/csv"}


def test_teams_are_returned_in_requested_order_with_their_figures(client):
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


def test_dates_limit_weeks_and_months(client):
    asked = {"team": ["web", "core"], "from": "2026-01-02", "to": "2026-01-12"}
    web, core = client.get(PATH, params=asked).json()["data"]
    assert (len(web["velocity"]), web["lead_time"]) == (1, [])
    assert [row["week"] for row in core["velocity"]] == ["2026-01-05", "2026-01-12"]


def lines(answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_csv_contains_rows_of_the_requested_unit(client):
    weeks, months = (
        lines(client.get(PATH, params={"team": ["web", "core"], "unit": unit}, headers=AS_CSV))
        for unit in ("week", "month")
    )
    assert [(line["team_id"], line["week"]) for line in weeks] == [
        ("web", "2026-01-05"),
        ("core", "2026-01-05"),
        ("core", "2026-01-12"),
        ("core", "2026-01-19"),
    ]
    assert "month" not in weeks[0]
    assert [(line["team_id"], line["month"]) for line in months] == [("web", "2026-01-01")]
    assert float(months[0]["median_lead_time_hours"]) == 17.0
    assert "week" not in months[0]


def test_delivery_figures_are_compared_on_request(client: Client) -> None:
    asked = {"team": ["web", "core"], "figures": "delivery"}
    for each in client.get(PATH, params=asked).json()["data"]:
        path = f"/metrics/team/{each['team']['id']}/delivery"
        assert each.keys() == {"team", "delivery_weekly", "delivery_monthly"}
        assert each["delivery_weekly"] == client.get(path).json()["data"]
        months = client.get(path, params={"unit": "month"}).json()["data"]
        assert each["delivery_monthly"] == months
    (line,) = lines(client.get(PATH, params={**asked, "unit": "month"}, headers=AS_CSV))
    assert (line["team_id"], line["month"], line["deployments"]) == ("web", "2026-01-01", "2")


def test_csv_without_unit_is_refused(client):
    answer = client.get(PATH, params={"team": "web"}, headers=AS_CSV)
    assert answer.status_code == 422
    assert answer.json()["parameter"] == "unit"


@pytest.mark.parametrize(("unit", "figure"), [("week", "velocity"), ("month", "lead_time")])
def test_json_with_unit_contains_only_that_unit(client, unit, figure):
    (web,) = client.get(PATH, params={"team": "web", "unit": unit}).json()["data"]
    (both,) = client.get(PATH, params={"team": "web"}).json()["data"]
    assert web == {"team": both["team"], figure: both[figure]}


def test_one_forbidden_team_refuses_the_whole_request(app):
    limited = Client(app, key=WEB_KEY)
    assert limited.get(PATH, params={"team": "web"}).status_code == 200
    for other in ("core", "nobody"):
        assert limited.get(PATH, params={"team": ["web", other]}).status_code == 403


@pytest.mark.parametrize("team", ["nobody", "unassigned", "w\x00b", "web' or '1'='1"])
def test_unknown_team_is_named_in_the_problem(client, team):
    answer = client.get(PATH, params={"team": ["web", team]})
    assert answer.status_code == 404
    assert repr(team) in answer.json()["detail"]


@pytest.mark.parametrize("teams", [[], [f"t{n}" for n in range(21)]], ids=["none", "too many"])
def test_the_number_of_teams_is_bounded(client, teams):
    answer = client.get(PATH, params={"team": teams})
    assert answer.status_code == 422
    assert answer.json()["parameter"] == "team"
