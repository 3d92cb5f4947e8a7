"""`GET /metrics/team/{team_id}/deployments`: deployments with their changes and incidents."""

import csv
import io
from typing import Any

import pytest
from api_support import Client

PATH = "/metrics/team/{}/deployments"


def deployments(client: Client, team: str, **parameters: object) -> list[dict[str, Any]]:
    answer = client.get(PATH.format(team), params=parameters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["deployment_id"] for row in rows]


def test_a_failed_deployment_has_its_changes_causes_and_incidents(client: Client) -> None:
    rows = deployments(client, "core", to="2026-01-10")
    assert ids(rows) == ["D_2", "D_1"]
    assert rows[1] == {
        "deployment_id": "D_1",
        "target": "acme/app",
        "repository": "acme/app",
        "source": "deployments",
        "is_proxy": False,
        "is_approximate": False,
        "environment": "production",
        "url": "https://ci.acme.example/1",
        "commit_sha": "c2",
        "kind": "deploy",
        "share": 0.25,
        "requested_at": "2026-01-06T09:30:00Z",
        "deployed_at": "2026-01-06T10:00:00Z",
        "recovered_at": "2026-01-06T11:15:00Z",
        "recovery_hours": 1.25,
        "is_failed": True,
        "failure_causes": ["incident", "rollback"],
        "is_rework": False,
        "changes_added": 2,
        "changes_withdrawn": 0,
        "changes": [
            {
                "repository": "acme/app",
                "number": 1,
                "title": "First",
                "url": "https://github.com/acme/app/pull/1",
                "author": "ada",
                "weight": 0.5,
            },
            {
                "repository": "acme/app",
                "number": 2,
                "title": "Second",
                "url": "https://github.com/acme/app/pull/2",
                "author": "bob",
                "weight": 0,
            },
        ],
        "incidents": [
            {
                "title": "Down",
                "url": "https://github.com/acme/app/issues/9",
                "severity": "sev1",
                "started_at": "2026-01-06T10:30:00Z",
                "ended_at": "2026-01-06T11:20:00Z",
                "link": "inferred",
            }
        ],
    }


def test_rollback_lists_its_withdrawn_changes(client: Client) -> None:
    rollback = deployments(client, "web")[0]
    assert rollback["kind"] == "rollback"
    assert (rollback["changes_withdrawn"], rollback["share"]) == (2, 0.75)
    assert [change["number"] for change in rollback["changes"]] == [1, 2]
    assert rollback["incidents"] == []


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ({}, ["D_3", "D_2", "D_1"]),
        ({"from": "2026-01-07"}, ["D_3"]),
        ({"from": "2026-01-06", "to": "2026-01-06"}, ["D_2", "D_1"]),
        ({"from": "2026-01-13"}, []),
    ],
    ids=["all", "later", "a day", "none"],
)
def test_dates_are_compared_with_the_day_of_the_deployment(
    client: Client, days: dict[str, str], expected: list[str]
) -> None:
    assert ids(deployments(client, "core", **days)) == expected


def test_cursors_lead_through_all_pages(client: Client) -> None:
    seen: list[str] = []
    following: dict[str, str] = {}
    while True:
        answer = client.get(PATH.format("core"), params={"limit": "1", **following}).json()
        seen += ids(answer["data"])
        if "next_cursor" not in answer:
            break
        following = {"cursor": answer["next_cursor"]}
    assert seen == ["D_3", "D_2", "D_1"]


def test_csv_has_a_line_per_deployment(client: Client) -> None:
    text = client.get(PATH.format("core"), headers={"Accept": "text/csv"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["deployment_id"] for row in rows] == ["D_3", "D_2", "D_1"]
    assert rows[2]["failure_causes"] == "incident; rollback"
    assert rows[2]["changes"].startswith("acme/app 1 First https://github.com/acme/app/pull/1 ada")
    assert rows[0]["incidents"] == ""
