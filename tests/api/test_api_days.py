"""The days that a response covers: the applied `from` and `to`, in JSON and in CSV."""

import pytest

WEB = "/metrics/team/web"
COMPARE = "/metrics/compare?team=web&"
DAYS = {
    "day of the merge": (f"{WEB}/pull-requests?", "2026-01-06", "2026-01-13"),
    "day of the opening": (f"{WEB}/pull-requests?state=open&", "2026-01-06", "2026-01-13"),
    "Mondays": (f"{WEB}/velocity?", "2026-01-12", "2026-01-18"),
    "firsts of a month": (f"{WEB}/lead-time?", "2026-02-01", "2026-01-31"),
    "compared by week": (f"{COMPARE}unit=week&", "2026-01-12", "2026-01-18"),
    "compared by month": (f"{COMPARE}unit=month&", "2026-02-01", "2026-01-31"),
    "compared by both": (COMPARE, "2026-01-12", "2026-01-31"),
}


@pytest.mark.parametrize(("path", "first", "last"), DAYS.values(), ids=DAYS)
def test_response_gives_the_days_that_it_covers(client, path, first, last):
    """The requested dates are two consecutive Tuesdays."""
    answer = client.get(f"{path}from=2026-01-06&to=2026-01-13")
    assert (answer.json()["from"], answer.json()["to"]) == (first, last)
    assert answer.headers["x-period"] == f"{first}/{last}"


@pytest.mark.parametrize("path", [path for path, *_ in DAYS.values()], ids=DAYS)
def test_open_end_is_null(client, path):
    answer = client.get(path)
    assert (answer.json()["from"], answer.json()["to"]) == (None, None)
    assert answer.headers["x-period"] == "../.."
    assert client.get(f"{path}from=2026-01-01").json()["to"] is None


def test_csv_gives_covered_days_in_a_header(client):
    path = f"{WEB}/velocity?from=2026-01-06"
    answer = client.get(path, headers={"Accept": "text/csv"})
    assert answer.headers["x-period"] == "2026-01-12/.."


@pytest.mark.parametrize(
    ("figure", "first", "last"),
    [
        ("velocity", "2026-01-05", "2026-01-11"),
        ("lead-time", "2026-01-01", "2026-01-31"),
    ],
)
def test_first_day_as_from_and_to_returns_the_whole_period(client, figure, first, last):
    answer = client.get(f"{WEB}/{figure}?from={first}&to={first}").json()
    assert (answer["from"], answer["to"]) == (first, last)
    assert len(answer["data"]) == 1


def test_days_of_a_week_return_its_pull_requests(client):
    week = client.get(f"{WEB}/velocity?from=2026-01-05&to=2026-01-09").json()
    days = {name: week[name] for name in ("from", "to")}
    pulls = client.get(f"{WEB}/pull-requests", params=days).json()
    assert len(pulls["data"]) == week["data"][0]["prs_merged"] == 2


@pytest.mark.parametrize("path", [path for path, *_ in DAYS.values()], ids=DAYS)
def test_days_at_the_limits_of_the_calendar_are_accepted(client, path):
    for day in ("0001-01-02", "9999-12-02", "9999-12-31"):
        answer = client.get(f"{path}from={day}&to={day}")
        assert answer.status_code == 200, answer.text


def test_response_gives_the_reporting_timezone(client, marts):
    marts.run("update marts.dim_build set reporting_timezone = 'Asia/Tokyo'")
    for path in ("/teams", f"{WEB}/velocity", f"{WEB}/pull-requests", "/metrics/compare?team=web"):
        assert client.get(path).json()["reporting_timezone"] == "Asia/Tokyo"
