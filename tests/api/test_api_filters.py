"""The filters `repository`, `label` and `base` of velocity, lead time and pull requests."""

from typing import Any

import pytest
from api_support import Client, settings_for

from api.app import create_app
from api.filters import MOST_NAMES

FIGURES = ["velocity", "lead-time"]
PATHS = [*FIGURES, "pull-requests", "pull-requests?state=open"]
FILTERS = ["repository", "label", "base"]


@pytest.fixture
def sorted_marts(marts):
    """The worked example, in which PR 2 is in another repository, with labels and branches."""
    marts.run("update marts.fct_pull_requests set repository = 'acme/lib' where number = 2")
    marts.run('update marts.fct_pull_requests set labels = \'["bug", "ui"]\' where number = 1')
    marts.run("update marts.fct_pull_requests set labels = '[]' where number = 2")
    marts.run("update marts.fct_pull_requests set base_ref = 'release' where number in (2, 8)")
    return marts


def figures(client: Client, figure: str, **asked: object) -> list[dict[str, Any]]:
    answer = client.get(f"/metrics/team/web/{figure}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def numbers(client: Client, state: str = "merged", **asked: object) -> set[int]:
    rows = figures(client, "pull-requests", state=state, **asked)
    return {row["number"] for row in rows}


@pytest.mark.parametrize(
    ("asked", "merged", "is_open"),
    [
        pytest.param({}, {1, 2}, {8, 9}, id="none"),
        pytest.param({"repository": "acme/app"}, {1}, {8}, id="repository"),
        pytest.param({"repository": ["acme/app", "acme/lib"]}, {1, 2}, {8, 9}, id="repositories"),
        pytest.param({"repository": "acme"}, set(), set(), id="part of a name"),
        pytest.param({"label": "bug"}, {1}, set(), id="label"),
        pytest.param({"label": ["ui", "docs"]}, {1}, set(), id="any of the labels"),
        pytest.param({"label": "docs"}, set(), set(), id="unused label"),
        pytest.param({"base": "release"}, {2}, {8}, id="base"),
        pytest.param({"base": "main"}, set(), set(), id="other base"),
        pytest.param({"base": "release", "label": "bug"}, set(), set(), id="both must match"),
        pytest.param(
            {"base": "release", "repository": "acme/lib"}, {2}, set(), id="base and repository"
        ),
        pytest.param({"label": "\x00"}, set(), set(), id="NUL"),
        pytest.param({"label": ["\x00", "bug"]}, {1}, set(), id="NUL and a label"),
        pytest.param({"repository": ""}, set(), set(), id="empty"),
        pytest.param({"base": "x' or '1'='1"}, set(), set(), id="SQL"),
    ],
)
def test_lists_contain_the_pull_requests_that_match(client, sorted_marts, asked, merged, is_open):
    assert numbers(client, **asked) == merged
    assert numbers(client, "open", **asked) == is_open


def test_summary_of_open_pull_requests_is_filtered_too(client, sorted_marts):
    asked = {"state": "open", "base": "release"}
    summary = client.get("/metrics/team/web/pull-requests", params=asked).json()["summary"]
    assert (summary["open"], summary["median_age_hours"]) == (1, 24)
    assert (summary["recently_merged"], summary["median_cycle_time_hours"]) == (1, 10)


def test_filtered_week_counts_only_what_matches(client, sorted_marts):
    (week,) = figures(client, "velocity", repository="acme/app")
    assert week == {
        "week": "2026-01-05",
        "prs_merged": 1,
        "weighted_prs_merged": 0.5,
        "avg_cycle_time_hours": 24,
        "weighted_avg_cycle_time_hours": 24,
        "contributors": 1,
        "is_complete": True,
    }


def test_filtered_month_is_computed_from_what_matches(client, sorted_marts):
    (month,) = figures(client, "lead-time", label="bug")
    assert month == {
        "month": "2026-01-01",
        "prs_merged": 1,
        "median_lead_time_hours": 24,
        "p95_lead_time_hours": 24,
        "weighted_median_lead_time_hours": 24,
        "weighted_p95_lead_time_hours": 24,
        "median_coding_hours": 1,
        "median_draft_hours": 0,
        "median_pickup_hours": 6.5,
        "median_review_hours": 17.5,
        "is_complete": False,
    }


def test_periods_in_which_nothing_matches_are_rows_without_averages(client):
    (week,) = figures(client, "velocity", label="no such label")
    assert (week["prs_merged"], week["weighted_prs_merged"], week["contributors"]) == (0, 0, 0)
    assert (week["avg_cycle_time_hours"], week["weighted_avg_cycle_time_hours"]) == (None, None)
    (month,) = figures(client, "lead-time", label="no such label")
    assert month["prs_merged"] == 0
    assert month["weighted_median_lead_time_hours"] is month["median_lead_time_hours"] is None


def test_filtered_periods_lie_within_the_dates(client):
    week = figures(client, "velocity", repository="acme/app", **{"from": "2026-01-05"})
    assert week == figures(client, "velocity", **{"from": "2026-01-05"})
    assert figures(client, "velocity", repository="acme/app", **{"from": "2026-01-06"}) == []
    assert figures(client, "lead-time", repository="acme/app", to="2025-12-31") == []


@pytest.mark.parametrize("figure", FIGURES)
def test_filters_that_match_everything_give_the_figures_of_the_marts(demo, figure):
    """The demo has people with weights in several teams, drafts and weeks without merges."""
    app = create_app(settings_for(demo.url))
    client = Client(app)
    with demo.connect("dora_reader") as reader:
        query = "select distinct base_ref from marts.fct_pull_requests"
        bases = [base for (base,) in reader.execute(query)]
        query = "select distinct repository from marts.fct_pull_requests"
        repositories = [repository for (repository,) in reader.execute(query)]
    assert None not in bases
    teams = [team["id"] for team in client.get("/teams").json()["data"]]
    groups = [group["id"] for group in client.get("/groups").json()["data"]]
    assert len(teams) > 3
    assert "all" in groups
    for team in teams + groups:
        path = f"/metrics/team/{team}/{figure}"
        plain = client.get(path).json()["data"]
        assert sum(row["prs_merged"] for row in plain) > 0
        for asked in ({"base": bases}, {"repository": repositories}):
            assert client.get(path, params=asked).json()["data"] == plain
    app.state.marts.close()


@pytest.mark.parametrize("figure", FIGURES)
def test_counts_of_the_repositories_add_up_to_the_marts(demo, figure):
    app = create_app(settings_for(demo.url))
    client = Client(app)
    with demo.connect("dora_reader") as reader:
        query = "select distinct repository from marts.fct_pull_requests"
        repositories = [repository for (repository,) in reader.execute(query)]
    assert len(repositories) > 2
    path = f"/metrics/team/payments/{figure}"
    parts = [
        [row["prs_merged"] for row in client.get(path, params={"repository": one}).json()["data"]]
        for one in repositories
    ]
    sums = [sum(period) for period in zip(*parts, strict=True)]
    assert sums == [row["prs_merged"] for row in client.get(path).json()["data"]]
    assert max(map(sum, parts)) < sum(sums)
    app.state.marts.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", FILTERS)
def test_too_many_names_are_refused_and_the_parameter_named(client, path, name):
    asked = "&".join(f"{name}=x{number}" for number in range(MOST_NAMES + 1))
    address = f"/metrics/team/web/{path}{'&' if '?' in path else '?'}"
    answer = client.get(address + asked)
    assert answer.status_code == 422
    assert answer.json()["parameter"] == name
    assert client.get(address + asked.partition("&")[2]).status_code == 200


def test_next_page_keeps_the_filters(client, sorted_marts):
    asked = {"repository": ["acme/app", "acme/lib"], "limit": 1}
    answer = client.get("/metrics/team/web/pull-requests", params=asked)
    following = answer.headers["link"].partition(">")[0][1:]
    assert following.count("repository=") == 2
    assert [row["number"] for row in client.get(following).json()["data"]] == [2]
