"""`GET /metrics/team/{team_id}/reviews`."""

import pytest

PATH = "/metrics/team/web/reviews"


def test_reviews_of_each_month(client):
    """PR 1 was first reviewed after 6.5 hours; nobody reviewed PR 2."""
    assert client.get(PATH).json() == {
        "team": {"id": "web", "name": "Web"},
        "as_of": "2026-01-20T00:00:00Z",
        "reporting_timezone": "UTC",
        "from": None,
        "to": None,
        "data": [
            {
                "month": "2026-01-01",
                "prs_merged": 2,
                "prs_reviewed": 1,
                "unreviewed_share": 0.5,
                "reviewers": 2,
                "busiest_share": 1,
                "median_hours_to_first_review": 6.5,
                "is_complete": False,
            }
        ],
    }


@pytest.mark.parametrize(
    ("reviewer", "share"),
    [
        pytest.param("U_bob", 1, id="by the same person"),
        pytest.param("U_dan", 0.5, id="by another person"),
        pytest.param(None, 0.5, id="by a deleted account"),
    ],
)
def test_busiest_share_is_of_first_reviews(client, marts, reviewer, share):
    """Bob gave the first review of PR 1; later reviews of it do not count for the share."""
    marts.run(
        "insert into marts.fct_pull_request_reviews values"
        " ('R_3', 'PR_2', %s, null, 'commented', '2026-01-05T10:00Z', true, 1)",
        reviewer,
    )
    (month,) = client.get(PATH).json()["data"]
    assert (month["prs_reviewed"], month["unreviewed_share"]) == (2, 0)
    assert month["busiest_share"] == share
    assert month["median_hours_to_first_review"] == 3.75
    assert month["reviewers"] == (2 if reviewer == "U_bob" else 3)


def test_deleted_reviewers_are_one_person(client, marts):
    marts.run("update marts.fct_pull_request_reviews set reviewer_id = null")
    (month,) = client.get(PATH).json()["data"]
    assert month["reviewers"] == 1


def test_month_without_merges_has_counts_of_0_and_no_shares(client, marts):
    marts.run(
        "insert into marts.fct_team_lead_time_monthly (team_id, month, prs_merged, is_complete)"
        " values ('core', '2026-02-01', 0, true)"
    )
    (month,) = client.get("/metrics/team/core/reviews").json()["data"]
    assert month == {
        "month": "2026-02-01",
        "prs_merged": 0,
        "prs_reviewed": 0,
        "unreviewed_share": None,
        "reviewers": 0,
        "busiest_share": None,
        "median_hours_to_first_review": None,
        "is_complete": True,
    }


def test_month_of_merges_without_reviews_has_a_share_but_no_busiest(client, marts):
    marts.run("delete from marts.fct_pull_request_reviews")
    (month,) = client.get(PATH).json()["data"]
    assert (month["reviewers"], month["unreviewed_share"]) == (0, 1)
    assert (month["busiest_share"], month["median_hours_to_first_review"]) == (None, None)


def test_no_answer_names_a_reviewer(client):
    assert "bob" not in client.get(PATH).text
