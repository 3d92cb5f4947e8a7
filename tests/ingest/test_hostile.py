"""Unexpected behaviour of GitHub, its users and the machines."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt.common.storages.load_package as load_package
import dlt.common.time as dlt_time
import pytest

from demo.github import GitHub
from demo.server import Fault, Server
from dora.database import Database
from dora.errors import ConfigurationError
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import prs, rows, unlike

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
BOTH = "acme/shop,acme/tool"
LANDED = "select count(*) as n from raw.pull_requests"
Ingest = Callable[..., RunResult]
Rewrite = Callable[[Any, Any], Any]


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(datetime(2026, 6, 30, tzinfo=UTC))


@pytest.fixture
def github() -> GitHub:
    github = GitHub()
    for name, many in (("shop", 120), ("tool", 5)):
        repository = github.create_repository(f"acme/{name}", START)
        for hour in range(many):
            at = START + timedelta(hours=hour)
            github.add_pull_request(repository, at, "ada", labels=["bug"], commit_count=1)
    return github


@pytest.fixture
def run(ingest: Ingest, clock: SimulatedClock) -> Ingest:
    def once(repositories: str = BOTH, **changes: Any) -> RunResult:
        clock.pass_by(3600)
        return ingest(repositories=repositories, clock=clock, **changes)

    return once


def rewriting(
    hub: Server,
    rewrite: Rewrite,
    *operations: str,
    when: Callable[[Any], bool] = lambda variables: True,
    most: int = 100,
) -> None:
    """Pass answers to these operations through `rewrite`, at most `most` times."""
    done: list[str] = []

    def before(operation: str | None, variables: Any) -> Fault | None:
        if operation in operations and when(variables) and len(done) < most:
            done.append(operation)
            return Fault(rewrite=lambda answer: rewrite(answer, variables))
        return None

    hub.before_request = before


def each_pull_request(answer: Any) -> Iterator[tuple[list[str | int], Any]]:
    """Yield the path and node of each pull request of an answer to Walk or PullRequests."""
    for i, node in enumerate(answer["data"]["nodes"]):
        if node and "pullRequests" in node:
            for j, pr in enumerate(node["pullRequests"]["nodes"]):
                yield ["nodes", i, "pullRequests", "nodes", j], pr
        elif node:
            yield ["nodes", i], node


@pytest.mark.parametrize("character", ["\uf026", "\uf027", "\uf029", "\uf02a", "\uf02d"], ids=ascii)
def test_icons_in_front_of_a_text_stay(
    run: Ingest, database: Database, github: GitHub, character: str
) -> None:
    """dlt marks types with these; the mark of a UUID before 32 digits once ended every run."""
    github.edit(
        prs(github)[0],
        None,
        title=character + "0" * 32,
        labels=[f"{character}1"],
        head_ref_name=f"{character}2026-01-01",
    )
    run()
    assert unlike(database, github) == []


def test_what_is_no_character_is_replaced(run: Ingest, database: Database, github: GitHub) -> None:
    github.edit(prs(github)[0], None, title="\ufdd3" + "0" * 32)
    run()
    query = "select title from raw.pull_requests where title like '%0000'"
    assert rows(database, query) == [{"title": "\ufffd" + "0" * 32}]


@pytest.mark.parametrize("kept", [0, 4])
def test_a_list_that_ends_too_early_is_not_believed_at_once(
    run: Ingest, database: Database, github: GitHub, hub: Server, clock: SimulatedClock, kept: int
) -> None:
    run()
    shop = github.repository("acme/shop")
    for number in range(1, 9):
        clock.pass_by(60)
        github.edit(shop.by_number[number], clock.now(), title="Changed")

    def short(answer: Any, _: Any) -> Any:
        for node in answer["data"]["nodes"]:
            connection = node["pullRequests"]
            connection["nodes"] = connection["nodes"][:kept]
            connection["pageInfo"] = {"hasNextPage": False, "endCursor": None}
        return answer

    rewriting(hub, short, "Walk", most=2)
    run()
    assert unlike(database, github) == []
    # If the list always ends early, GitHub's count is wrong: the run succeeds.
    github.edit(shop.by_number[1], clock.now(), title="Changed again")
    rewriting(hub, short, "Walk")
    assert run().exit_code == 0


@pytest.mark.parametrize("is_empty", [True, False])
@pytest.mark.parametrize("is_same", [True, False])
def test_a_cursor_that_does_not_move_ends_the_walk(
    run: Ingest, database: Database, github: GitHub, hub: Server, is_empty: bool, is_same: bool
) -> None:
    def rewrite(answer: Any, variables: Any) -> Any:
        for node in answer["data"]["nodes"]:
            page = node["pullRequests"]
            cursor = variables["after"] if is_same else None
            page["pageInfo"] = {"hasNextPage": True, "endCursor": cursor}
            page["nodes"] = [] if is_empty else page["nodes"]
        return answer

    rewriting(hub, rewrite, "Walk", when=lambda variables: variables["after"])
    result = run()
    assert result.exit_code == 1
    assert "acme/shop could not be read in this run: GitHub says that there is more" in "".join(
        result.messages
    )
    assert len(hub.requests) < 20
    hub.before_request = None
    run()
    assert unlike(database, github) == []


@pytest.mark.parametrize("is_null", [True, False])
def test_an_owners_list_that_leads_nowhere_is_said(run: Ingest, hub: Server, is_null: bool) -> None:
    def rewrite(answer: Any, _: Any) -> Any:
        page = answer["data"]["repositoryOwner"]["repositories"]
        page["pageInfo"] = {"hasNextPage": not is_null, "endCursor": None}
        page["nodes"] = None if is_null else page["nodes"]
        return answer

    rewriting(hub, rewrite, "Owned")
    result = run("acme/*")
    assert result.exit_code == 1
    assert len(hub.requests) < 20
    said = "acme/* could not be read in this run: GitHub returned only a part"
    assert said in "".join(result.messages)


def test_a_token_that_may_not_see_commits_is_refused_and_costs_little(
    run: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    """No pull request of a page can be read: the cause is the token."""

    def forbid(answer: Any, _: Any) -> Any:
        for path, pr in each_pull_request(answer):
            pr["commits"]["nodes"] = [None]
            error = {"type": "FORBIDDEN", "path": [*path, "commits", "nodes", 0]}
            message = {"message": "Resource not accessible by personal access token"}
            answer.setdefault("errors", []).append(error | message)
        return answer

    rewriting(hub, forbid, "Walk", "PullRequests")
    with pytest.raises(ConfigurationError, match=r"commits of acme/shop .*Contents: read"):
        run("acme/shop")
    assert len(hub.requests) < 10
    hub.before_request = None
    run()
    assert unlike(database, github) == []


@pytest.mark.parametrize("path", [None, ["nodes"], ["nodes", 0]], ids=str)
@pytest.mark.parametrize("name", ["author", "labels", "mergedBy"])
def test_an_error_that_names_no_pull_request_is_about_them_all(
    run: Ingest,
    database: Database,
    github: GitHub,
    hub: Server,
    path: list[str | int] | None,
    name: str,
) -> None:
    for pr in prs(github):
        github.merge(pr, START + timedelta(days=20))

    def null(answer: Any, _: Any) -> Any:
        for _, pr in each_pull_request(answer):
            pr[name] = None
        error = {"message": "Something went wrong while executing your query."}
        answer["errors"] = [error | ({"path": path} if path else {})]
        return answer

    rewriting(hub, null, "Walk", most=3)
    run()
    run()
    assert unlike(database, github) == []


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set dlt's clock ahead by some seconds, as in a new process."""

    def ahead(seconds: float) -> None:
        monkeypatch.setattr(dlt_time, "precise_time", lambda: time.time() + seconds)
        fresh = dlt_time.LockedMonotonicPreciseTime(strictly_increasing=True)
        monkeypatch.setattr(load_package, "increasing_precise_time", fresh)

    return ahead


def test_what_lands_after_the_clock_was_put_back_counts(
    run: Ingest, database: Database, machine: Callable[[float], None]
) -> None:
    def teams(*names: str) -> str:
        return json.dumps([{"id": name, "name": name, "members": []} for name in names])

    machine(86400)
    run(team_config_json=teams("a"))
    machine(0)
    run(team_config_json=teams("a", "b"))
    machine(0)
    run(team_config_json=teams("a"))
    assert rows(database, "select team_id from raw.teams") == [{"team_id": "a"}]


def test_a_page_that_is_null_for_its_size_is_asked_for_smaller(
    run: Ingest, database: Database, hub: Server
) -> None:
    def null(answer: Any, _: Any) -> Any:
        answer["data"]["nodes"] = [None]
        message = "Something went wrong while executing your query. This may be a timeout."
        answer["errors"] = [{"message": message, "path": ["nodes", 0, "pullRequests"]}]
        return answer

    rewriting(hub, null, "Walk", when=lambda variables: variables["first"] > 25)
    run("acme/shop")
    assert rows(database, LANDED) == [{"n": 120}]


def test_a_list_that_is_null_is_asked_for_again(
    run: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    def null(answer: Any, _: Any) -> Any:
        answer["data"]["nodes"][0]["pullRequests"]["nodes"] = None
        path = ["nodes", 0, "pullRequests", "nodes"]
        answer["errors"] = [{"message": "Something went wrong", "path": path}]
        return answer

    rewriting(hub, null, "Walk", most=1)
    run()
    assert unlike(database, github) == []


def test_a_repository_whose_pull_requests_are_forbidden_refuses_the_token(
    run: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    """GitHub moves the null up to the repository; the error's path stays below it."""
    run()
    shop = github.repository("acme/shop")

    def forbid(answer: Any, _: Any) -> Any:
        data = answer["data"]
        places = [["nodes", place] for place in range(len(data.get("nodes", [])))]
        for path in places or [[name] for name in ("r0", "r1") if name in data]:
            holder = data["nodes"] if places else data
            node = holder[path[-1]]
            if node and node["id"] == shop.id:
                holder[path[-1]] = None
                error = {"type": "FORBIDDEN", "path": [*path, "pullRequests"], "message": "No"}
                answer.setdefault("errors", []).append(error)
        return answer

    rewriting(hub, forbid, "Probe", "Walk", "Resolve")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"pull requests of acme/shop \(No\)"):
            run()
    hub.before_request = None
    assert run().exit_code == 0
    assert unlike(database, github) == []


def test_behind_an_incomplete_page_nothing_is_read_in_vain(
    run: Ingest, github: GitHub, hub: Server
) -> None:
    shop = github.repository("acme/shop")
    for hour in range(1500):
        github.add_pull_request(shop, START - timedelta(hours=hour), "ada")
    walks = 0

    def null(answer: Any) -> Any:
        answer["data"]["nodes"][0]["pullRequests"]["nodes"][5] = None
        return answer

    def nothing(answer: Any) -> Any:
        answer["data"]["nodes"][0]["pullRequests"] = None
        return answer

    def before(operation: str | None, _: Any) -> Fault | None:
        nonlocal walks
        walks += operation == "Walk"
        if operation == "Ids":
            return Fault(rewrite=nothing)
        return Fault(rewrite=null) if operation == "Walk" and walks == 2 else None

    hub.before_request = before
    assert run("acme/shop", seconds=600).exit_code == 1
    # Loading begins after a thousand pull requests: nothing more is read.
    assert walks <= 26


def test_a_right_that_is_missing_is_said_in_one_line(
    run: Ingest, database: Database, github: GitHub, clock: SimulatedClock
) -> None:
    run()
    with database.connect() as connection:
        connection.execute("revoke insert on raw.pull_requests from dora_ingest")
    github.edit(prs(github)[3], clock.now(), title="Changed")
    with pytest.raises(ConfigurationError, match="permission denied for table pull_requests"):
        run()


def test_a_review_that_is_given_twice_lands_once(
    run: Ingest, database: Database, github: GitHub, hub: Server
) -> None:
    github.add_review(prs(github)[0], START + timedelta(days=9), "bob")

    def twice(answer: Any, _: Any) -> Any:
        for _, pr in each_pull_request(answer):
            pr["reviews"]["nodes"] *= 2
        return answer

    rewriting(hub, twice, "Walk", "Details")
    run()
    assert rows(database, "select count(*) as n from raw.pull_request_reviews") == [{"n": 1}]
