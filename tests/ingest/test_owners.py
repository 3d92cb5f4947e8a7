"""`owner/*` after changes to owners and their repositories."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.github import SAML, GitHub
from demo.server import Fault, Server
from dora.database import Database
from dora.errors import ConfigurationError
from ingest.run_result import RunResult
from tests.ingest.truth import rows, unlike

Ingest = Callable[..., RunResult]
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def github() -> GitHub:
    """Two repositories of `acme`, with a pull request each."""
    github = GitHub()
    for hours, name in enumerate(("acme/web", "acme/api")):
        at = START + timedelta(hours=hours)
        repository = github.create_repository(name, at)
        github.add_pull_request(repository, at, "ada", title="Work")
    return github


@pytest.fixture
def everything(ingest: Ingest) -> Callable[..., RunResult]:
    return lambda **more: ingest(repositories="acme/*", **more)


def refuse_owner(answer: dict[str, Any]) -> dict[str, Any]:
    error = {"type": "FORBIDDEN", "path": ["repositoryOwner"], "message": SAML}
    return answer | {"data": answer["data"] | {"repositoryOwner": None}, "errors": [error]}


def hide(position: int, **error: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return null for one of an owner's repositories."""

    def rewrite(answer: dict[str, Any]) -> dict[str, Any]:
        answer["data"]["repositoryOwner"]["repositories"]["nodes"][position] = None
        path = ["repositoryOwner", "repositories", "nodes", position]
        return answer | {"errors": [{"path": path, **error}]}

    return rewrite


def when(operation: str, rewrite: Any) -> Callable[[str | None, Any], Fault | None]:
    return lambda name, variables: Fault(rewrite=rewrite) if name == operation else None


def reach(database: Database) -> dict[str, tuple[bool, bool]]:
    """Return for each repository whether it is configured, and whether it is reachable."""
    found = rows(
        database, "select repository, is_configured, unreachable_since from raw.repositories"
    )
    return {
        row["repository"]: (row["is_configured"], row["unreachable_since"] is None) for row in found
    }


def test_an_owner_that_blocks_the_token_refuses_it_until_it_is_let_in(
    everything: Any, database: Database, github: GitHub, hub: Server
) -> None:
    everything()
    hub.before_request = when("Owned", refuse_owner)
    for repository in github.repositories():
        github.block_repository(repository)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"acme/\*.*SAML.*single sign-on"):
            everything()
    hub.before_request = None
    for repository in github.repositories():
        github.block_repository(repository, None)
    assert everything().messages == []
    assert reach(database) == {"acme/web": (True, True), "acme/api": (True, True)}
    assert rows(database, "select 1 from raw.ingest_failures where resolved_at is null") == []


def test_an_owner_under_a_new_login_keeps_what_it_has(
    everything: Any, database: Database, github: GitHub
) -> None:
    everything()
    github.rename_account("acme", "acme-corp")
    at = START + timedelta(days=1)
    github.add_pull_request(github.repository("acme-corp/web"), at, "ada", title="After")
    result = everything()
    assert result.exit_code == 0
    assert result.messages == ["acme was renamed to acme-corp: change it in REPOSITORIES"]
    # Pull requests read under the old login keep the old address, which redirects.
    assert [line for line in unlike(database, github) if ": url is" not in line] == []
    assert reach(database) == {"acme-corp/web": (True, True), "acme-corp/api": (True, True)}


def test_what_is_left_out_stays_so_under_the_owner_s_new_login(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    ingest(repositories="acme/*,!acme/api")
    github.rename_account("acme", "acme-corp")
    ingest(repositories="acme/*,!acme/api")
    assert reach(database) == {"acme-corp/web": (True, True)}


def test_a_repository_given_to_another_owner_is_configured_no_more(
    everything: Any, database: Database, github: GitHub
) -> None:
    everything()
    github.rename_repository(github.repository("acme/api"), "other/api")
    assert everything().exit_code == 0
    assert reach(database)["acme/web"] == (True, True)
    assert [configured for configured, _ in reach(database).values()].count(False) == 1


def test_a_repository_that_the_list_fails_to_show_is_asked_for_by_itself(
    everything: Any, database: Database, github: GitHub, hub: Server
) -> None:
    everything()
    at = START + timedelta(days=1)
    github.add_pull_request(github.repository("acme/api"), at, "ada", title="New")
    hub.before_request = when("Owned", hide(1, message="Something went wrong"))
    result = everything()
    assert (result.exit_code, result.messages) == (0, [])
    assert unlike(database, github) == []


def test_a_repository_that_the_token_may_not_see_is_counted(
    everything: Any, database: Database, hub: Server
) -> None:
    hub.before_request = when("Owned", hide(1, type="FORBIDDEN", message=SAML))
    first, second = everything(), everything()
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert "1 more that the token cannot read" in first.messages[0]
    assert set(reach(database)) == {"acme/web"}


def test_an_archived_repository_is_said_once(
    everything: Any, database: Database, github: GitHub
) -> None:
    everything()
    github.repository("acme/api").is_archived = True
    said = [everything().messages, everything().messages]
    assert said == [["acme/api has been archived"], []]
    archived = "select repository from raw.repositories where is_archived"
    assert rows(database, archived) == [{"repository": "acme/api"}]
