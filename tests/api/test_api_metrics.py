import math

import pytest
from api_support import Client

VELOCITY = "/metrics/team/{}/velocity"
LEAD_TIME = "/metrics/team/{}/lead-time"


def weeks(client: Client, **parameters: str) -> list[str]:
    answer = client.get(VELOCITY.format("core"), params=parameters)
    assert answer.status_code == 200, answer.text
    return [row["week"] for row in answer.json()["data"]]


def test_velocity_returns_weeks_in_order(client):
    answer = client.get(VELOCITY.format("core"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "team": {"id": "core", "name": "Core"},
        "as_of": "2026-01-20T00:00:00Z",
        "reporting_timezone": "UTC",
        "from": None,
        "to": None,
        "data": [
            {
                "week": "2026-01-05",
                "prs_merged": 1,
                "weighted_prs_merged": 0.5,
                "avg_cycle_time_hours": 24.0,
                "weighted_avg_cycle_time_hours": 24.0,
                "contributors": 1,
                "is_complete": True,
            },
            {
                "week": "2026-01-12",
                "prs_merged": 1,
                "weighted_prs_merged": 1.0,
                "avg_cycle_time_hours": 24.0,
                "weighted_avg_cycle_time_hours": 24.0,
                "contributors": 1,
                "is_complete": True,
            },
            {
                "week": "2026-01-19",
                "prs_merged": 0,
                "weighted_prs_merged": 0.0,
                "avg_cycle_time_hours": None,
                "weighted_avg_cycle_time_hours": None,
                "contributors": 0,
                "is_complete": False,
            },
        ],
    }


def test_figures_are_not_rounded(client):
    (week,) = client.get(VELOCITY.format("web")).json()["data"]
    assert math.isclose(week["weighted_avg_cycle_time_hours"], 44 / 3, rel_tol=1e-15)


def test_lead_time_returns_each_month(client):
    assert client.get(LEAD_TIME.format("web")).json() == {
        "team": {"id": "web", "name": "Web"},
        "as_of": "2026-01-20T00:00:00Z",
        "reporting_timezone": "UTC",
        "from": None,
        "to": None,
        "data": [
            {
                "month": "2026-01-01",
                "prs_merged": 2,
                "median_lead_time_hours": 17.0,
                "p95_lead_time_hours": 23.3,
                "weighted_median_lead_time_hours": 10.0,
                "weighted_p95_lead_time_hours": 24.0,
                "median_coding_hours": 0.0,
                "median_draft_hours": 0.0,
                "median_pickup_hours": 12.5,
                "median_review_hours": 4.5,
                "is_complete": False,
            }
        ],
    }


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({"from": "2026-01-12"}, ["2026-01-12", "2026-01-19"], id="from is inclusive"),
        pytest.param({"from": "2026-01-13"}, ["2026-01-19"], id="compared with the first day"),
        pytest.param({"to": "2026-01-12"}, ["2026-01-05", "2026-01-12"], id="to is inclusive"),
        pytest.param({"to": "2026-01-11"}, ["2026-01-05"], id="to before the Monday"),
        pytest.param({"from": "2026-01-12", "to": "2026-01-12"}, ["2026-01-12"], id="both"),
        pytest.param({"from": "2027-01-01"}, [], id="nothing there"),
        pytest.param(
            {"from": "0001-01-01", "to": "9999-12-31"},
            ["2026-01-05", "2026-01-12", "2026-01-19"],
            id="all of time",
        ),
    ],
)
def test_velocity_returns_only_weeks_within_the_dates(client, parameters, expected):
    assert weeks(client, **parameters) == expected


def test_lead_time_compares_dates_with_the_first_of_the_month(client):
    path = LEAD_TIME.format("web")
    assert client.get(path, params={"from": "2026-01-02"}).json()["data"] == []
    only = {"from": "2026-01-01", "to": "2026-01-01"}
    assert len(client.get(path, params=only).json()["data"]) == 1


def test_team_without_rows_returns_empty_data(client, marts):
    marts.run("insert into marts.dim_teams values ('new', 'New', null)")
    assert client.get(VELOCITY.format("new")).json() == {
        "team": {"id": "new", "name": "New"},
        "as_of": "2026-01-20T00:00:00Z",
        "reporting_timezone": "UTC",
        "from": None,
        "to": None,
        "data": [],
    }


def test_as_of_is_null_before_anything_is_loaded(client, marts):
    marts.run("update marts.dim_build set as_of = null")
    assert client.get(LEAD_TIME.format("core")).json() == {
        "team": {"id": "core", "name": "Core"},
        "as_of": None,
        "reporting_timezone": "UTC",
        "from": None,
        "to": None,
        "data": [],
    }


def test_decimal_weights_are_json_numbers(client, marts):
    marts.run("update marts.fct_team_velocity_weekly set weighted_prs_merged = 3.07")
    assert '"weighted_prs_merged":3.07,' in client.get(VELOCITY.format("web")).text
