import base64
import json
from datetime import UTC, datetime

import pytest
from api_support import Client

from api import cursors
from api.problems import ParameterError

PATH = "/metrics/team/web/pull-requests"


def numbers(client: Client, team: str = "web", **parameters: object) -> list[int]:
    answer = client.get(f"/metrics/team/{team}/pull-requests", params=parameters)
    assert answer.status_code == 200, answer.text
    return [row["number"] for row in answer.json()["data"]]


def add_merged(marts, count: int, merged_at: str = "2026-01-10T00:00Z") -> None:
    """Add `count` pull requests of Bob, numbered from 100, all merged at the same instant."""
    marts.run(
        "insert into marts.fct_pull_requests (pull_request_id, repository, number, title, url,"
        " author, state, work_started_at, created_at, merged_at) select 'PR_' || n, 'acme/app', n,"
        " 't', 'u', 'bob', 'merged', '2026-01-01', '2026-01-01', %s"
        " from generate_series(100, 99 + %s) as n",
        merged_at,
        count,
    )
    marts.run(
        "insert into marts.fct_team_pull_requests"
        " select 'web', pull_request_id, 1.0, merged_at, merged_at from marts.fct_pull_requests"
        " where number >= 100"
    )


def test_merged_pull_requests_of_the_team_newest_first(client):
    assert client.get(PATH).json() == {
        "team": {"id": "web", "name": "Web"},
        "as_of": "2026-01-20T00:00:00Z",
        "reporting_timezone": "UTC",
        "from": None,
        "to": None,
        "data": [
            {
                "repository": "acme/app",
                "number": 1,
                "title": "First",
                "url": "https://github.com/acme/app/pull/1",
                "author": "ada",
                "weight": 0.5,
                "first_commit_at": "2026-01-05T08:00:00Z",
                "work_started_at": "2026-01-05T08:00:00Z",
                "created_at": "2026-01-05T09:00:00Z",
                "first_review_at": "2026-01-05T15:30:00Z",
                "merged_at": "2026-01-06T09:00:00Z",
                "cycle_time_hours": 24.0,
                "coding_hours": 1.0,
                "draft_hours": 0.0,
                "pickup_hours": 6.5,
                "review_hours": 17.5,
                "total_hours": 25.0,
                "size": 12,
            },
            {
                "repository": "acme/app",
                "number": 2,
                "title": "Second",
                "url": "https://github.com/acme/app/pull/2",
                "author": "bob",
                "weight": 1.0,
                "first_commit_at": None,
                "work_started_at": "2026-01-05T09:00:00Z",
                "created_at": "2026-01-05T09:00:00Z",
                "first_review_at": None,
                "merged_at": "2026-01-05T19:00:00Z",
                "cycle_time_hours": 10.0,
                "coding_hours": 0.0,
                "draft_hours": 0.0,
                "pickup_hours": 10.0,
                "review_hours": 0.0,
                "total_hours": 10.0,
                "size": None,
            },
        ],
    }


def test_instants_are_utc_in_any_session_time_zone(client, monkeypatch):
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    answer = client.get(PATH)
    assert answer.json()["data"][0]["merged_at"] == "2026-01-06T09:00:00Z"


@pytest.mark.parametrize(
    ("zone", "parameters", "expected"),
    [
        pytest.param("UTC", {"from": "2026-01-12"}, [3], id="from is inclusive"),
        pytest.param("UTC", {"from": "2026-01-13"}, [], id="the day after"),
        pytest.param("UTC", {"to": "2026-01-06"}, [1], id="to holds its whole day"),
        pytest.param("UTC", {"to": "2026-01-05"}, [], id="the day before"),
        pytest.param("America/New_York", {"to": "2026-01-11"}, [3, 1], id="evening in New York"),
        pytest.param("America/New_York", {"from": "2026-01-12"}, [], id="not yet in New York"),
        pytest.param("UTC", {"from": "0001-01-01", "to": "9999-12-31"}, [3, 1], id="all of time"),
    ],
)
def test_dates_are_the_day_of_the_merge_in_the_reporting_timezone(
    client, marts, zone, parameters, expected
):
    marts.run("update marts.dim_build set reporting_timezone = %s", zone)
    assert numbers(client, "core", **parameters) == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 1000])
def test_pages_contain_each_pull_request_once_despite_ties(client, marts, limit):
    add_merged(marts, 5)
    found: list[int] = []
    answer = client.get(PATH, params={"limit": limit}).json()
    found += [row["number"] for row in answer["data"]]
    while "next_cursor" in answer and len(found) < 10:
        assert len(answer["data"]) == limit
        parameters = {"limit": limit, "cursor": answer["next_cursor"]}
        answer = client.get(PATH, params=parameters).json()
        found += [row["number"] for row in answer["data"]]
    assert found == [104, 103, 102, 101, 100, 1, 2]


def test_merge_between_two_pages_does_not_shift_rows(client, marts):
    add_merged(marts, 3)
    first = client.get(PATH, params={"limit": 2}).json()
    marts.run(
        "insert into marts.fct_pull_requests (pull_request_id, repository, number, title, url,"
        " author, state, work_started_at, created_at, merged_at) values"
        " ('PR_9', 'acme/app', 9, 't', 'u', 'bob', 'merged',"
        " '2026-01-01', '2026-01-01', '2026-01-15')"
    )
    marts.run(
        "insert into marts.fct_team_pull_requests"
        " values ('web', 'PR_9', 1, '2026-01-15', '2026-01-15')"
    )
    assert numbers(client, limit=10, cursor=first["next_cursor"]) == [100, 1, 2]


def test_default_limit_is_100_rows(client, marts):
    add_merged(marts, 150)
    assert len(numbers(client)) == 100
    assert len(numbers(client, limit=1000)) == 152


def test_next_page_respects_the_dates(client, marts):
    add_merged(marts, 3)
    first = client.get(PATH, params={"limit": 1, "from": "2026-01-06"}).json()
    cursor = first["next_cursor"]
    assert numbers(client, cursor=cursor, **{"from": "2026-01-06"}) == [101, 100, 1]


def test_title_is_returned_unchanged(client, marts):
    title = 'ünïcode 🚀 "quotes" \\ new\nline </script> ' + "x" * 10_000
    marts.run("update marts.fct_pull_requests set title = %s", title)
    assert client.get(PATH).json()["data"][0]["title"] == title


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


BAD_CURSORS = {
    "empty": "",
    "not base64": "%%%",
    "not ascii": "é",
    "not JSON": "eHh4",
    "not a pair": _encoded({"a": 1}),
    "one too many": _encoded(["2026-01-01T00:00:00+00:00", "PR_1", 1]),
    "no instant": _encoded(["yesterday", "PR_1"]),
    "number for an instant": _encoded([5, "PR_1"]),
    "instant without a zone": _encoded(["2026-01-01T00:00:00", "PR_1"]),
    "beyond the calendar": _encoded(["0001-01-01T00:00:00+23:59", "PR_1"]),
    "number for an id": _encoded(["2026-01-01T00:00:00+00:00", 1]),
    "list for an id": _encoded(["2026-01-01T00:00:00+00:00", []]),
    "NUL in the id": _encoded(["2026-01-01T00:00:00+00:00", "PR_\x00"]),
    "half a character": _encoded(["2026-01-01T00:00:00+00:00", "\ud800"]),
    "SQL": "' or 1=1 --",
    "deep": base64.urlsafe_b64encode(b"[" * 700).decode(),
    "long": "A" * 5000,
}


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS)
def test_foreign_cursor_is_refused_and_named(no_database, cursor):
    answer = no_database.get(PATH, params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["parameter"] == "cursor"


def test_cursor_round_trip_returns_the_position():
    position = cursors.Position(datetime(2026, 1, 5, 1, 2, 3, 4, UTC), "MDExOlB1bGw=é")
    assert cursors.decode(cursors.encode(position)) == position
    with pytest.raises(ParameterError):
        cursors.decode(cursors.encode(position) + "=")
