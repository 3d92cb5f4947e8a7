"""Regressions: in each of these situations a successful run once lost a change."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.github import GitHub
from demo.model import PullRequest
from demo.organisation import Organisation
from demo.server import Fault, Server
from dora.database import Database
from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.pipeline import make_tables
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import prs, rows, unlike

Ingest = Callable[..., RunResult]


@pytest.fixture
def at(organisation: Organisation) -> Callable[[int], datetime]:
    """An instant, in minutes after the organisation's last event."""
    return lambda minutes: datetime.fromisoformat(organisation.end) + timedelta(minutes=minutes)


def open_one(github: GitHub) -> PullRequest:
    return next(pr for pr in prs(github) if pr.state == "OPEN")


def spoil_first(answer: dict[str, Any]) -> dict[str, Any]:
    answer["data"]["nodes"][0]["pullRequests"]["nodes"][0]["reviews"] = None
    return answer


def test_github_failing_while_a_page_is_completed_leaves_the_page_for_the_next_run(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, at: Any
) -> None:
    ingest()
    github.merge(open_one(github), at(30), "somebody")

    is_away = False

    def fail(operation: str | None, variables: Any) -> Fault | None:
        nonlocal is_away
        if is_away:
            return Fault(status=503, body="")
        is_away = operation == "Walk"
        return Fault(rewrite=spoil_first) if is_away else None

    hub.before_request = fail
    assert ingest(clock=SimulatedClock()).exit_code == 69
    hub.before_request = None
    assert ingest().exit_code == 0
    assert unlike(database, github) == []


def test_a_null_that_is_pushed_off_its_page_is_still_found(
    ingest: Ingest, database: Database, github: GitHub, hub: Server, at: Any
) -> None:
    ingest()
    repository = open_one(github).repository
    ten = list(repository.by_number.values())[:11]
    for minute, pull_request in enumerate(ten[:10], start=30):
        github.edit(pull_request, at(minute), title="Changed")

    def lose_last(answer: dict[str, Any]) -> dict[str, Any]:
        answer["data"]["nodes"][0]["pullRequests"]["nodes"][9] = None
        return answer

    pushed = False

    def push(operation: str | None, variables: Any) -> Fault | None:
        nonlocal pushed
        if operation == "Walk" and not pushed:
            return Fault(rewrite=lose_last)
        if operation == "Ids" and not pushed:
            pushed = True
            github.edit(ten[10], at(60), title="Pushes the others down")
        return None

    hub.before_request = push
    ingest()
    assert pushed
    assert unlike(database, github) == []


def test_a_newest_pull_request_that_cannot_be_read_hides_no_other(
    ingest: Ingest, database: Database, github: GitHub, at: Any
) -> None:
    ingest()
    merged = open_one(github)
    other = next(pr for pr in merged.repository.by_number.values() if pr is not merged)
    github.merge(merged, at(30), "somebody")
    github.edit(other, at(40), is_unreadable=True)
    ingest()
    github.edit(other, None, is_unreadable=False)
    assert {line.split(":")[0] for line in unlike(database, github)} <= {other.id}


def test_a_landing_that_fails_claims_nothing(
    ingest: Ingest, database: Database, tmp_path: Path
) -> None:
    make_tables(database, tmp_path)
    with database.connect() as connection:
        connection.execute(
            """
            create function raw.full() returns trigger language plpgsql
            as $$ begin raise exception 'disk full' using errcode = 'disk_full'; end $$;
            create trigger full_disk before insert on raw.pull_requests
            execute function raw.full()
            """
        )
    result = ingest()
    assert result.exit_code == 69
    assert "disk full" in result.messages[-1]
    assert rows(database, "select 1 from raw.repositories where covered_to is not null") == []
    with database.connect() as connection:
        connection.execute("drop trigger full_disk on raw.pull_requests")
    assert ingest().exit_code == 0


def test_a_repository_that_vanishes_takes_none_of_its_pull_requests_along(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    clock = SimulatedClock()
    ingest(clock=clock)
    github.block_repository(open_one(github).repository, "Resource protected by SAML")
    clock.pass_by(8 * 86400)
    ingest(clock=clock)
    assert rows(database, "select 1 from raw.pull_requests where vanished_at is not null") == []
    assert rows(database, "select 1 from raw.ingest_failures where kind = 'pull_request'") == []


def test_a_probe_that_fails_for_one_repository_says_nothing_of_it(
    ingest: Ingest, database: Database, hub: Server
) -> None:
    ingest()

    def lose_one(answer: dict[str, Any]) -> dict[str, Any]:
        answer["data"]["nodes"][0] = None
        answer["errors"] = [{"message": "Something went wrong", "path": ["nodes", 0]}]
        return answer

    hub.before_request = lambda operation, variables: Fault(rewrite=lose_one)
    result = ingest()
    assert result.exit_code == 1
    assert "could not be read in this run" in result.messages[0]
    lost = "select 1 from raw.repositories where unreachable_since is not null"
    assert rows(database, lost) == []


def test_an_owner_s_repository_that_is_blocked_is_named(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    owner = github.repositories()[0].owner.login
    ingest(repositories=f"{owner}/*")
    blocked = open_one(github).repository
    github.block_repository(blocked, "Resource protected by SAML")
    result = ingest(repositories=f"{owner}/*")
    assert result.exit_code == 1
    assert blocked.name_with_owner in result.messages[0]
    assert rows(database, "select 1 from raw.repositories where not is_configured") == []


def test_a_repository_made_anew_under_its_old_name_is_read(
    ingest: Ingest, database: Database, github: GitHub, settings: Settings, at: Any
) -> None:
    names = settings.repositories
    ingest()
    gone, moved = [r for r in github.repositories() if r.by_number][:2]
    gone_name, moved_name = gone.name_with_owner, moved.name_with_owner
    github.delete_repository(gone)
    github.rename_repository(moved, f"{moved_name}-2")
    made = [github.create_repository(name, at(20)) for name in (gone_name, moved_name)]
    new = [github.add_pull_request(repository, at(30), None, title="New") for repository in made]
    assert ingest(repositories=names).exit_code == 1
    landed = rows(database, "select id from raw.pull_requests where title = 'New'")
    assert {row["id"] for row in landed} == {pull_request.id for pull_request in new}
    assert ingest(repositories=names).exit_code == 0


def test_since_in_the_future_is_refused(ingest: Ingest) -> None:
    with pytest.raises(ConfigurationError, match="in the future"):
        ingest(since=datetime(2990, 1, 1, tzinfo=UTC))


def test_somebody_who_deleted_the_account_is_nobody_from_the_next_reading_on(
    ingest: Ingest, database: Database, github: GitHub, at: Any
) -> None:
    ingest()
    read_again = next(pr for pr in prs(github) if pr.author and pr.state == "OPEN")
    assert read_again.author is not None
    github.delete_account(read_again.author)
    github.edit(read_again, at(30), title="After the account was gone")
    ingest()
    query = (
        "select author_login, author_id from raw.pull_requests where title like 'After the acc%'"
    )
    assert rows(database, query) == [{"author_login": None, "author_id": None}]


def test_every_label_is_kept(ingest: Ingest, database: Database, github: GitHub, at: Any) -> None:
    labels = [f"area/{number:03d}" for number in range(100)]
    github.edit(open_one(github), at(30), labels=labels)
    ingest()
    found = rows(database, "select labels from raw.pull_requests order by updated_at desc limit 1")
    assert found == [{"labels": labels}]
