import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.github import GitHub
from demo.organisation import Organisation
from demo.server import Fault, Server
from dora.database import Database
from dora.errors import ConfigurationError
from ingest.lock import Lock
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import counts, landed, prs, rows, truth, unlike

Ingest = Callable[..., RunResult]


def after(organisation: Organisation, minutes: int) -> datetime:
    return datetime.fromisoformat(organisation.end) + timedelta(minutes=minutes)


def test_everything_lands_as_github_has_it(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    result = ingest()
    assert result.exit_code == 0
    assert unlike(database, github) == []
    assert len(truth(github)) == result.pull_requests


def test_a_second_run_asks_once_and_adds_nothing(
    ingest: Ingest, database: Database, hub: Server
) -> None:
    ingest()
    before = counts(database)
    hub.requests.clear()
    again = ingest()
    assert [request.operation for request in hub.requests] == ["Probe"]
    assert (again.pull_requests, counts(database)) == (0, before)
    runs = rows(database, "select status, requests from raw.ingest_runs order by started_at")
    assert [run["status"] for run in runs] == ["complete", "complete"]
    assert runs[1]["requests"] == 1


def test_a_change_is_read_without_reading_the_rest_again(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, organisation: Organisation
) -> None:
    ingest()
    pull_request = next(pr for pr in prs(github) if pr.reviews)
    github.edit(pull_request, after(organisation, 30), title="Changed — “since” 🚀\n")
    github.add_review(pull_request, after(organisation, 31), None, "APPROVED")
    hub.requests.clear()
    assert ingest().pull_requests <= 10
    assert unlike(database, github) == []
    assert [request.operation for request in hub.requests] == ["Probe", "Walk", "Probe"]


def test_a_pull_request_that_loses_reviews_and_draft_events_loses_them_here(
    ingest: Ingest, database: Database, github: GitHub, organisation: Organisation
) -> None:
    ingest()
    pull_request = next(pr for pr in prs(github) if pr.reviews)
    for review in list(pull_request.reviews):
        github.delete_review(pull_request, review)
    github.edit(pull_request, after(organisation, 30))
    ingest()
    assert unlike(database, github) == []


def test_edits_under_the_walk_lose_nothing_once_the_run_is_over(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, organisation: Organisation
) -> None:
    """Between pages, pull requests that the walk has not reached yet move above its cursor."""
    walks = 0

    def edit(operation: str | None, variables: Any) -> None:
        nonlocal walks
        if operation == "Walk" and walks < 4:
            walks += 1
            for repository in filter(lambda found: found.by_number, github.repositories()):
                oldest = min(repository.by_number.values(), key=lambda pr: pr.updated_at)
                github.edit(oldest, after(organisation, 60 + walks), title=f"Edit {walks}")

    hub.before_request = edit
    assert ingest().exit_code == 0
    assert walks == 4
    assert unlike(database, github) == []


def test_a_second_change_in_the_very_second_of_the_walk_is_read_by_the_next_run(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, organisation: Organisation
) -> None:
    pull_request = prs(github)[0]
    instant = after(organisation, 60)
    hub.points.clock = instant.timestamp
    github.edit(pull_request, instant, title="first")
    ingest()
    github.edit(pull_request, instant, title="second, in the same second")
    ingest()
    assert unlike(database, github) == []


def test_a_run_out_of_time_lands_what_it_has_and_the_next_goes_on(
    ingest: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    clock = SimulatedClock()
    spent: Callable[[str | None, Any], None] = lambda operation, variables: clock.pass_by(30)  # noqa: E731
    hub.before_request = spent
    first = ingest(clock=clock, seconds=150)
    assert (first.exit_code, first.status) == (75, "continue")
    assert 0 < first.pull_requests < len(truth(github))
    hub.before_request = None
    hub.requests.clear()
    second = ingest()
    assert second.exit_code == 0
    assert first.pull_requests + second.pull_requests <= len(truth(github)) + 20
    assert unlike(database, github) == []


def test_newest_comes_first_and_coverage_says_how_far(
    ingest: Ingest, database: Database, hub: Server, organisation: Organisation
) -> None:
    clock = SimulatedClock()
    hub.before_request = lambda operation, variables: clock.pass_by(30)
    ingest(clock=clock, seconds=100)
    for row in rows(
        database,
        """
        select covered_from, covered_to, min(updated_at) as oldest
        from raw.repositories
        inner join raw.pull_requests on pull_requests.repository_id = repositories.id
        group by 1, 2
        """,
    ):
        assert row["covered_from"] == row["oldest"]
        assert row["covered_to"] is not None


def test_since_bounds_the_backfill_and_an_earlier_date_extends_it(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, organisation: Organisation
) -> None:
    late, early = after(organisation, -60 * 24 * 60), after(organisation, -60 * 24 * 200)
    ingest(since=late)
    bounded = rows(
        database, "select distinct covered_from from raw.repositories where pull_requests > 0"
    )
    assert bounded == [{"covered_from": late}]
    updated = {key: record["updated_at"] for key, record in truth(github).items()}
    assert {key for key in updated if updated[key] >= f"{late:%Y-%m-%dT%H:%M:%SZ}"} <= set(
        landed(database)
    )
    hub.requests.clear()
    again = ingest()
    assert again.pull_requests == 0
    extended = ingest(since=early)
    assert extended.pull_requests > 0
    assert {key for key in updated if updated[key] >= f"{early:%Y-%m-%dT%H:%M:%SZ}"} <= set(
        landed(database)
    )
    ingest(since=datetime(2000, 1, 1, tzinfo=UTC))
    assert unlike(database, github) == []
    assert rows(database, "select distinct covered_from from raw.repositories") == [
        {"covered_from": None}
    ]


def test_a_repository_out_of_reach_is_named_while_the_others_land(
    ingest: Ingest, database: Database, github: GitHub, settings: Any
) -> None:
    names = settings.repositories + ",acme/no-such"
    first = ingest(repositories=names)
    assert (first.exit_code, first.status, first.repositories_failed) == (1, "partial", 1)
    assert any("acme/no-such" in message for message in first.messages)
    assert unlike(database, github) == []
    failures = rows(database, "select kind, repository, reason from raw.ingest_failures")
    assert [(row["kind"], row["repository"]) for row in failures] == [
        ("repository", "acme/no-such")
    ]
    later = ingest(repositories=names)
    assert later.exit_code == 0
    assert any("acme/no-such" in message for message in later.messages)


def test_a_repository_that_is_gone_is_marked_and_comes_back(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    ingest()
    repository = github.repositories()[0]
    github.block_repository(repository, "Resource protected by SAML")
    assert [ingest().exit_code, ingest().exit_code] == [1, 0]
    [row] = rows(database, "select * from raw.repositories where unreachable_since is not null")
    assert row["repository"] == repository.name_with_owner
    assert "SAML" in row["unreachable_reason"]
    github.block_repository(repository, None)
    assert ingest().exit_code == 0
    query = "select 1 from raw.repositories where unreachable_since is not null"
    assert rows(database, query) == []


def test_a_repository_configured_no_longer_is_marked(
    ingest: Ingest, database: Database, settings: Any
) -> None:
    ingest()
    kept, *left = settings.repositories.split(",")
    ingest(repositories=kept)
    found = rows(database, "select repository from raw.repositories where not is_configured")
    assert {row["repository"] for row in found} == set(left)


def test_a_renamed_repository_keeps_its_history(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    ingest()
    repository = github.repositories()[0]
    github.rename_repository(repository, "elsewhere/renamed")
    assert ingest().exit_code == 0
    found = rows(database, "select repository from raw.repositories")
    assert "elsewhere/renamed" in {row["repository"] for row in found}
    assert len(found) == len(github.repositories())


def test_owner_wildcard_includes_new_repositories_and_respects_exclusions(
    ingest: Ingest, database: Database, github: GitHub, organisation: Organisation, hub: Server
) -> None:
    owner, name = github.repositories()[0].name_with_owner.split("/")
    ingest(repositories=f"{owner}/*,!{owner}/{name}")
    github.create_repository(f"{owner}/brand-new", after(organisation, 5))
    hub.requests.clear()
    ingest(repositories=f"{owner}/*,!{owner}/{name}")
    found = {row["repository"] for row in rows(database, "select repository from raw.repositories")}
    assert f"{owner}/brand-new" in found
    assert f"{owner}/{name}" not in found


def test_a_run_can_be_narrowed_to_one_repository(
    ingest: Ingest, database: Database, settings: Any
) -> None:
    name = settings.repositories.split(",")[1]
    assert ingest(only=[name.upper()]).repositories == 1
    assert rows(database, "select repository, is_configured from raw.repositories") == [
        {"repository": name, "is_configured": True}
    ]


def test_invalid_pull_request_is_recorded_as_a_failure(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    pull_request = next(pr for pr in prs(github) if pr.merged_at)
    github.edit(pull_request, None, merged_at="2001-01-01T00:00:00Z")
    assert ingest().failures == 1
    [failure] = rows(database, "select * from raw.ingest_failures")
    assert "before created_at" in failure["reason"]
    assert failure["number"] == pull_request.number
    assert pull_request.id not in landed(database)


def test_a_page_with_nulls_is_completed_one_by_one(
    ingest: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    """GitHub may return null for a pull request on a page, but return it by id."""

    def lose_some(answer: dict[str, Any]) -> dict[str, Any]:
        nodes = answer["data"]["nodes"][0]["pullRequests"]["nodes"]
        for position in (1, 3):
            if position < len(nodes):
                nodes[position] = None
        return answer

    hub.before_request = lambda operation, variables: (
        Fault(rewrite=lose_some) if operation == "Walk" else None
    )
    assert ingest().failures == 0
    assert unlike(database, github) == []


def test_reviews_that_github_gives_as_null_are_asked_for_again(
    ingest: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    def lose_reviews(answer: dict[str, Any]) -> dict[str, Any]:
        for node in answer["data"]["nodes"][0]["pullRequests"]["nodes"][:2]:
            node["reviews"] = None
        return answer

    hub.before_request = lambda operation, variables: (
        Fault(rewrite=lose_reviews) if operation == "Walk" else None
    )
    assert ingest().failures == 0
    assert unlike(database, github) == []


def test_what_stays_unreadable_is_recorded_while_the_rest_lands(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    unreadable = prs(github)[0]
    github.edit(unreadable, None, is_unreadable=True)
    result = ingest()
    assert (result.exit_code, result.failures) == (1, 1)
    assert f"{unreadable.id} could not be read: Something went wrong" in result.messages[-1]
    [failure] = rows(database, "select * from raw.ingest_failures")
    assert "Something went wrong" in failure["reason"]
    assert len(landed(database)) == len(truth(github)) - 1


def test_run_returns_none_while_another_holds_the_lock(
    database: Database, settings: Any, organisation: Organisation
) -> None:
    from ingest.config import read_config
    from ingest.pipeline import run

    with Lock(database) as lock:
        assert lock.is_held
        assert run(read_config(settings), database, settings.dora_home) is None


def test_a_refused_token_writes_no_row(ingest: Ingest, database: Database, hub: Server) -> None:
    hub.tokens = {"another"}
    with pytest.raises(ConfigurationError, match="refused the token"):
        ingest()
    assert rows(database, "select 1 from raw.ingest_runs") == []
    assert rows(database, "select 1 from raw.teams") == []


def test_github_away_leaves_a_row_that_says_so(
    ingest: Ingest, database: Database, hub: Server
) -> None:
    hub.before_request = lambda operation, variables: Fault(status=503, body="")
    result = ingest(clock=SimulatedClock())
    assert (result.exit_code, result.status) == (69, "failed")
    [run] = rows(database, "select status, error from raw.ingest_runs")
    assert run["status"] == "failed"
    assert "503" in run["error"]


def test_teams_land_with_their_windows_and_again_only_when_they_change(
    ingest: Ingest, database: Database, settings: Any
) -> None:
    ingest()
    query = "select max(_dlt_load_id) as load_id, count(*) as n from raw.teams"
    before = rows(database, query)
    ingest()
    assert rows(database, query) == before
    teams = json.loads(settings.team_config_json)
    ingest(team_config_json=json.dumps(teams[1:]))
    assert rows(database, query)[0]["n"] == len(teams) - 1
    orphans = (
        "select 1 from raw.team_memberships left join raw.teams using (team_id) where name is null"
    )
    assert rows(database, orphans) == []


def test_groups_land_with_their_teams_and_leave_with_them(
    ingest: Ingest, database: Database, settings: Any
) -> None:
    teams = [team | {"group": "Eng/Web"} for team in json.loads(settings.team_config_json)[:2]]
    ingest(team_config_json=json.dumps(teams))
    query = "select team_id, group_id, parent_group_id from raw.team_groups order by 1, 2"
    ids = sorted(row["team_id"] for row in rows(database, "select team_id from raw.teams"))
    assert [tuple(row.values()) for row in rows(database, query)] == [
        row for team in ids for row in ((team, "eng", "all"), (team, "eng.web", "eng"))
    ]
    for team in teams:
        del team["group"]
    ingest(team_config_json=json.dumps(teams))
    assert rows(database, query) == []
