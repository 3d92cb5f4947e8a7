"""If a token lacks a permission, the run names it, exits with 2 and loads nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.github import GitHub
from demo.server import Fault, Server
from dora.database import Database
from dora.errors import ConfigurationError
from ingest.run_result import RunResult
from tests.ingest.truth import rows, unlike

Ingest = Callable[..., RunResult]
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
ONE_BY_ONE, BY_OWNER = "acme/shop,acme/tool", "acme/*"
SAML = (
    "Resource protected by organization SAML enforcement. You must grant your Personal Access token"
    " access to this organization."
)


@pytest.fixture
def github() -> GitHub:
    """Two repositories; not every pull request has a commit."""
    github = GitHub()
    for name in ("shop", "tool"):
        repository = github.create_repository(f"acme/{name}", START)
        for hour in range(5):
            at = START + timedelta(hours=hour)
            first_commit_at = None if hour == 0 else f"{at:%Y-%m-%dT%H:%M:%SZ}"
            pull_request = github.add_pull_request(repository, at, "ada", title="Work")
            github.edit(pull_request, None, first_commit_at=first_commit_at, commit_count=1)
            github.add_review(pull_request, at, "bob", "APPROVED")
    return github


def landed(database: Database) -> int:
    tables = rows(database, "select to_regclass('raw.pull_requests') as found")
    if tables[0]["found"] is None:
        return 0
    return sum(
        rows(database, f"select count(*) as n from raw.{name}")[0]["n"]
        for name in ("pull_requests", "repositories", "ingest_runs", "ingest_failures", "teams")
    )


HIDDEN = {
    "PullRequestCommit.commit": "Contents: read",
    "PullRequest.commits": "Contents: read",
    "Repository.pullRequests": "Pull requests: read",
    "PullRequest.reviews": "Pull requests: read",
    "PullRequest.timelineItems": "Pull requests: read",
    "PullRequest.labels": "Pull requests: read",
    "Organization.repositories": "Metadata: read",
    "Query.repository": "Metadata: read",
}
# These fields are not requested for the given way to name repositories.
NOT_ASKED = {("Organization.repositories", ONE_BY_ONE), ("Query.repository", BY_OWNER)}


@pytest.mark.parametrize(
    ("hidden", "repositories"),
    [
        (hidden, repositories)
        for hidden in HIDDEN
        for repositories in (ONE_BY_ONE, BY_OWNER)
        if (hidden, repositories) not in NOT_ASKED
    ],
)
def test_missing_permission_is_named_before_anything_lands(
    ingest: Ingest, database: Database, github: GitHub, hidden: str, repositories: str
) -> None:
    github.hidden_fields = {hidden}
    with pytest.raises(ConfigurationError) as refused:
        ingest(repositories=repositories)
    assert refused.value.exit_code == 2
    assert HIDDEN[hidden] in str(refused.value)
    assert "Resource not accessible by personal access token" in str(refused.value)
    assert "acme" in str(refused.value)
    assert landed(database) == 0
    github.hidden_fields = set()
    assert ingest(repositories=repositories).exit_code == 0
    assert unlike(database, github) == []


def test_permission_missing_for_one_of_two_repositories_lands_nothing(
    ingest: Ingest, database: Database, hub: Server
) -> None:
    def hide_commits(answer: dict[str, Any]) -> dict[str, Any]:
        errors = []
        for index, node in enumerate(answer["data"].get("nodes", [])):
            if node["nameWithOwner"] != "acme/tool":
                continue
            for place, found in enumerate(node["pullRequests"]["nodes"]):
                if not found.get("commits", {}).get("nodes"):
                    continue
                found["commits"]["nodes"][0] = None
                path = ["nodes", index, "pullRequests", "nodes", place, "commits", "nodes", 0]
                message = "Resource not accessible by integration"
                errors.append({"type": "FORBIDDEN", "path": [*path, "commit"], "message": message})
        return answer | ({"errors": errors} if errors else {})

    hub.before_request = lambda operation, variables: Fault(rewrite=hide_commits)
    with pytest.raises(ConfigurationError, match=r"commits of acme/tool .*Contents: read"):
        ingest(repositories=ONE_BY_ONE)
    assert landed(database) == 0


def test_token_without_single_sign_on_is_refused(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    for repository in github.repositories():
        github.block_repository(repository, SAML)
    for repositories in (ONE_BY_ONE, BY_OWNER):
        with pytest.raises(ConfigurationError, match=r"authorise the token for .*single sign-on"):
            ingest(repositories=repositories)
    assert landed(database) == 0


def test_one_repository_behind_single_sign_on_stops_no_other(
    ingest: Ingest, github: GitHub
) -> None:
    github.block_repository(github.repository("acme/tool"), SAML)
    result = ingest(repositories=ONE_BY_ONE)
    assert (result.exit_code, result.pull_requests) == (1, 5)
    assert any("acme/tool" in message and "SAML" in message for message in result.messages)


def test_one_refused_commit_is_no_missing_permission(
    ingest: Ingest, database: Database, hub: Server
) -> None:
    def hide_one(answer: dict[str, Any]) -> dict[str, Any]:
        path = ["nodes", 0, "pullRequests", "nodes", 1, "commits", "nodes", 0, "commit"]
        error = {"type": "FORBIDDEN", "path": path, "message": "Something of GitHub's"}
        return answer | {"errors": [error]}

    hub.before_request = lambda operation, variables: (
        Fault(rewrite=hide_one) if operation == "Walk" else None
    )
    result = ingest(repositories="acme/shop")
    assert (result.exit_code, result.failures, result.pull_requests) == (0, 0, 5)


@pytest.mark.parametrize("by", ["integration", "personal access token"])
def test_request_that_is_forbidden_altogether_names_what_is_needed(
    ingest: Ingest, hub: Server, by: str
) -> None:
    body = {"message": f"Resource not accessible by {by}", "status": "403"}
    hub.before_request = lambda operation, variables: Fault(status=403, body=body)
    with pytest.raises(ConfigurationError, match=f"accessible by {by}.*Contents: read"):
        ingest(repositories="acme/shop")
    assert len(hub.requests) == 1
