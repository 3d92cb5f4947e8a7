import csv
import io

import pytest
from api_support import WEB_KEY, Client

from api.trend_sentences import sentence

PATH = "/metrics/trends"
WORSE = "Lead time 22.7 → 50.0 h in a year; waiting for review is 22 h of the 27."
BETTER = "Pull requests merged per week 4.2 → 6.5 in a quarter."


def told(client: Client, **parameters: object) -> list[tuple[str, str, str]]:
    answer = client.get(PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    return [(row["team_id"], row["verdict"], row["sentence"]) for row in answer.json()["data"]]


def test_trends_of_all_teams_come_worst_first_with_a_sentence(client):
    assert told(client) == [
        ("web", "worse", WORSE),
        ("core", "better", BETTER),
        ("core", "as_usual", "Lead time as usual: 23.5 → 24.0 h in a quarter."),
        ("web", "too_little_data", "Change fail rate: too little data to compare."),
    ]


def test_trends_are_limited_to_the_requested_teams_and_verdicts(client):
    assert told(client, team="web", verdict="worse") == [("web", "worse", WORSE)]
    assert told(client, team=["web", "core"], verdict=["worse", "better"]) == [
        ("web", "worse", WORSE),
        ("core", "better", BETTER),
    ]
    assert told(client, team="core", verdict="worse") == []


def test_larger_changes_come_first_and_a_change_from_zero_before_all(client, marts):
    marts.run(
        "insert into marts.fct_team_trends (team_id, metric, compared_with, verdict,"
        " current_value, earlier_value)"
        " values ('core', 'change_fail_rate', 'year_before', 'worse', 0.1, 0),"
        " ('core', 'lead_time_hours', 'year_before', 'worse', 90, 30),"
        " ('core', 'merged_per_week', 'year_before', 'worse', 1, 3.1)"
    )
    rows = client.get(PATH, params={"verdict": "worse"}).json()["data"]
    assert [(row["team_id"], row["metric"]) for row in rows] == [
        ("core", "change_fail_rate"),
        ("core", "merged_per_week"),
        ("core", "lead_time_hours"),
        ("web", "lead_time_hours"),
    ]


def test_csv_has_the_rows_and_their_sentences(client):
    answer = client.get(PATH, headers={"Accept": "text/csv"})
    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [line["sentence"] for line in lines[:2]] == [WORSE, BETTER]
    assert lines[3]["current_value"] == ""


def test_key_of_one_team_sees_only_its_trends(app):
    limited = Client(app, key=WEB_KEY)
    assert {team for team, *_ in told(limited)} == {"web"}
    for other in ("core", "nobody"):
        assert limited.get(PATH, params={"team": ["web", other]}).status_code == 403


@pytest.mark.parametrize("team", ["nobody", "unassigned", "w\x00b", "web' or '1'='1"])
def test_unknown_team_is_named_in_the_problem(client, team):
    answer = client.get(PATH, params={"team": ["web", team]})
    assert answer.status_code == 404
    assert repr(team) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("verdict", "bad"), ("verdict", "'; drop table marts.dim_teams"), ("team", ["x"] * 21)],
)
def test_invalid_parameter_is_named_in_the_problem(client, parameter, value):
    answer = client.get(PATH, params={parameter: value})
    assert answer.status_code == 422
    assert answer.json()["parameter"].startswith(parameter)


def row(metric: str, before: float | None, now: float | None, **more: object) -> dict[str, object]:
    return {
        "metric": metric,
        "compared_with": "year_before",
        "verdict": "worse",
        "current_value": now,
        "earlier_value": before,
        "phase": None,
        "phase_hours": None,
        "earlier_phase_hours": None,
    } | more


def phase(name: str, before: float, now: float) -> dict[str, object]:
    return {"phase": name, "earlier_phase_hours": before, "phase_hours": now}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param(
            row("lead_time_hours", 4, 6.5, **phase("review", 1, 3)),
            "Lead time 4.0 → 6.5 h in a year; review is 2.0 h of the 2.5.",
            id="short times have a decimal",
        ),
        pytest.param(
            row("lead_time_hours", 20, 30, **phase("draft", 1, 15)),
            "Lead time 20.0 → 30.0 h in a year; time as a draft 1.0 → 15.0 h.",
            id="phase larger than the whole",
        ),
        pytest.param(
            row("lead_time_hours", 20, 30, **phase("draft", 1, 1.4)),
            "Lead time 20.0 → 30.0 h in a year.",
            id="phase that explains nothing",
        ),
        pytest.param(
            row("change_lead_time_hours", 2000, 1000, **phase("deploy", 1500, 700)),
            "Change lead time 2,000.0 → 1,000.0 h in a year;"
            " waiting for deployment is 800 h of the 1,000.",
            id="long times have separators",
        ),
        pytest.param(
            row("change_fail_rate", 0, 0.125),
            "Change fail rate 0% → 12% in a year.",
            id="rate",
        ),
        pytest.param(
            row("deployments_per_week", 3, 1.5, compared_with="quarter_before"),
            "Deployments per week 3.0 → 1.5 in a quarter.",
            id="count",
        ),
    ],
)
def test_sentence_says_what_changed_and_why(given, text):
    assert sentence(given) == text
