"""`GET /metrics/team/{team_id}/pull-requests?state=open`."""

import csv
import io

import pytest
from api_support import WEB_KEY, Client

from api.routes import open_pull_requests

PATH = "/metrics/team/web/pull-requests?state=open"
NEW = "/metrics/team/core/pull-requests?state=open"


def numbers(client: Client, **parameters: object) -> list[int]:
    answer = client.get(PATH, params={"state": "open"} | parameters)
    assert answer.status_code == 200, answer.text
    return [row["number"] for row in answer.json()["data"]]


def test_open_pull_requests_of_the_team_oldest_first(client):
    assert client.get(PATH).json() == {
        "team": {"id": "web", "name": "Web"},
        "as_of": "2026-01-20T00:00:00Z",
        "reporting_timezone": "UTC",
        "from": None,
        "to": None,
        "summary": {
            "open": 2,
            "draft": 0,
            "waiting_for_review": 1,
            "changes_requested": 0,
            "approved": 1,
            "median_age_hours": 36,
            "recently_merged": 2,
            "median_cycle_time_hours": 17,
        },
        "data": [
            {
                "repository": "acme/lib",
                "number": 9,
                "title": "Ready",
                "url": "https://github.com/acme/lib/pull/9",
                "author": "bob",
                "weight": 1.0,
                "status": "approved",
                "created_at": "2026-01-18T00:00:00Z",
                "first_review_at": "2026-01-19T06:00:00Z",
                "status_since": "2026-01-19T12:00:00Z",
                "age_hours": 48,
                "waiting_hours": 12,
                "reviews": 3,
                "reviewers": 2,
                "size": None,
            },
            {
                "repository": "acme/app",
                "number": 8,
                "title": "Waits",
                "url": "https://github.com/acme/app/pull/8",
                "author": "bob",
                "weight": 1.0,
                "status": "waiting_for_review",
                "created_at": "2026-01-19T00:00:00Z",
                "first_review_at": None,
                "status_since": "2026-01-19T00:00:00Z",
                "age_hours": 24,
                "waiting_hours": 24,
                "reviews": 0,
                "reviewers": 0,
                "size": 7,
            },
        ],
    }


def test_merged_is_the_default_state(client):
    merged = "/metrics/team/web/pull-requests"
    default, explicit = client.get(merged), client.get(f"{merged}?state=merged")
    assert default.json() == explicit.json()
    assert [row["number"] for row in default.json()["data"]] == [1, 2]
    assert "summary" not in default.json()


def test_team_without_open_pull_requests_has_counts_of_0_and_no_median(client):
    answer = client.get(NEW).json()
    assert answer["data"] == []
    assert answer["summary"] == {
        "open": 0,
        "draft": 0,
        "waiting_for_review": 0,
        "changes_requested": 0,
        "approved": 0,
        "median_age_hours": None,
        "recently_merged": 2,
        "median_cycle_time_hours": 24,
    }


@pytest.mark.parametrize(
    ("merged_at", "counts"),
    [
        pytest.param("2025-10-21T00:00:00Z", True, id="exactly 91 days before as_of"),
        pytest.param("2025-10-20T23:59:59Z", False, id="a second earlier"),
        pytest.param("2026-01-19T23:59:59Z", True, id="just before as_of"),
        pytest.param("2026-01-20T00:00:00Z", False, id="at as_of"),
    ],
)
def test_recent_merges_are_those_of_the_91_days_before_as_of(client, marts, merged_at, counts):
    assert open_pull_requests.RECENT_DAYS == 91
    marts.run(
        "update marts.fct_team_pull_requests set merged_at = %s"
        " where team_id = 'web' and pull_request_id = 'PR_2'",
        merged_at,
    )
    summary = client.get(PATH).json()["summary"]
    assert summary["recently_merged"] == 1 + counts
    assert summary["median_cycle_time_hours"] == (17 if counts else 24)


@pytest.mark.parametrize(
    ("zone", "parameters", "expected"),
    [
        pytest.param("UTC", {"from": "2026-01-18"}, [9, 8], id="from is inclusive"),
        pytest.param("UTC", {"from": "2026-01-19"}, [8], id="opened later"),
        pytest.param("UTC", {"to": "2026-01-18"}, [9], id="to contains its whole day"),
        pytest.param("UTC", {"to": "2026-01-17"}, [], id="the day before"),
        pytest.param("America/New_York", {"to": "2026-01-18"}, [9, 8], id="evening in New York"),
    ],
)
def test_dates_are_the_day_of_the_opening(client, marts, zone, parameters, expected):
    marts.run("update marts.dim_build set reporting_timezone = %s", zone)
    assert numbers(client, **parameters) == expected


def test_pages_contain_each_open_pull_request_once_oldest_first(client, marts):
    """Ten were opened at the same instant, between the two of the worked example."""
    marts.run(
        "insert into marts.fct_pull_requests (pull_request_id, repository, number, title, url,"
        " author, state, work_started_at, created_at) select 'PR_' || n, 'acme/app', n, 't', 'u',"
        " 'bob', 'open', '2026-01-18T12:00Z', '2026-01-18T12:00Z' from generate_series(20, 29) n"
    )
    marts.run(
        "insert into marts.fct_team_pull_requests select 'web', 'PR_' || n, 1,"
        " '2026-01-18T12:00Z', null from generate_series(20, 29) n"
    )
    marts.run(
        "insert into marts.fct_open_pull_requests select 'PR_' || n, 'draft',"
        " '2026-01-18T12:00Z', 36, 36, 0, 0 from generate_series(20, 29) n"
    )
    seen, cursor = [], None
    for page in range(4):
        parameters = {"state": "open", "limit": 5} | ({"cursor": cursor} if cursor else {})
        answer = client.get(PATH, params=parameters).json()
        assert answer["summary"]["open"] == 12, page
        seen += [row["number"] for row in answer["data"]]
        cursor = answer.get("next_cursor")
        if cursor is None:
            break
    assert page == 2
    assert seen == [9, *range(20, 30), 8]


def test_link_header_leads_to_the_next_page_of_csv(client):
    answer = client.get(f"{PATH}&limit=1", headers={"Accept": "text/csv"})
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["team_id"], row["number"], row["status"]) == ("web", "9", "approved")
    following = answer.headers["link"].partition(">")[0][1:]
    answer = client.get(following, headers={"Accept": "text/csv"})
    assert [row["number"] for row in csv.DictReader(io.StringIO(answer.text))] == ["8"]
    assert "link" not in answer.headers


def test_etag_answers_304_and_differs_from_the_merged_ones(client):
    answer = client.get(PATH)
    tag = answer.headers["etag"]
    assert client.get(PATH, headers={"If-None-Match": tag}).status_code == 304
    merged = client.get("/metrics/team/web/pull-requests", headers={"If-None-Match": tag})
    assert merged.status_code == 200


@pytest.mark.parametrize("state", ["", "closed", "OPEN", "all", "open' or '1'='1", "\x00"])
def test_other_state_is_refused_and_named(client, state):
    answer = client.get("/metrics/team/web/pull-requests", params={"state": state})
    assert answer.status_code == 422
    assert answer.json()["parameter"] == "state"
    assert "'merged' or 'open'" in answer.json()["detail"]


def test_open_pull_requests_need_a_key_of_the_team(app, anonymous):
    assert anonymous.get(PATH).status_code == 401
    assert Client(app, key=WEB_KEY).get(PATH).status_code == 200
    assert Client(app, key=WEB_KEY).get(NEW).status_code == 403
    unknown = Client(app).get("/metrics/team/nobody/pull-requests?state=open")
    assert unknown.status_code == 404


def test_before_the_first_load_nothing_is_open(client, marts):
    marts.run("delete from marts.fct_open_pull_requests")
    marts.run("update marts.dim_build set as_of = null")
    answer = client.get(PATH).json()
    assert (answer["as_of"], answer["data"]) == (None, [])
    assert answer["summary"]["recently_merged"] == 0
