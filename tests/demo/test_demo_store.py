"""GitHub's responses after changes of the store, and its errors."""

from typing import Any

import httpx
import pytest
from asking import ask, data

from demo.github import GitHub
from demo.model import instant
from demo.server import Server

PULL_REQUEST = """query($id: ID!) { node(id: $id) { __typename ... on PullRequest {
  number title state isDraft closed merged createdAt updatedAt closedAt mergedAt additions url
  author { __typename login ... on Node { id } } mergedBy { login } mergeCommit { oid }
  labels(first: 20) { nodes { name } }
  commits(first: 1) { totalCount nodes { commit { authoredDate } } }
  reviews(first: 20) { totalCount nodes { id state submittedAt author { __typename login } } }
  timelineItems(first: 20) { nodes { __typename ... on ReadyForReviewEvent { createdAt } } }
} } }"""


def show(client: httpx.Client, github: GitHub, number: int) -> dict[str, Any]:
    id = github.pull_request("acme/api", number).id
    found: dict[str, Any] = data(client, PULL_REQUEST, id=id)["node"]
    return found


def test_a_new_pull_request_is_open_and_empty(github: GitHub, client: httpx.Client) -> None:
    shown = show(client, github, 1)
    assert shown["url"] == "https://github.com/acme/api/pull/1"
    assert (shown["state"], shown["isDraft"], shown["closed"], shown["merged"]) == (
        "OPEN",
        False,
        False,
        False,
    )
    assert shown["createdAt"] == shown["updatedAt"] == "2026-01-05T00:00:00Z"
    assert shown["author"]["__typename"] == "User"
    assert shown["mergedBy"] is shown["mergeCommit"] is shown["closedAt"] is None
    assert shown["commits"] == {"totalCount": 0, "nodes": []}
    assert shown["labels"] == {"nodes": []}


def test_a_merge_closes_and_moves_updated_at(github: GitHub, client: httpx.Client) -> None:
    github.merge(github.pull_request("acme/api", 1), "2026-01-07T10:00:00+02:00", by="bob")
    shown = show(client, github, 1)
    assert (shown["state"], shown["merged"], shown["mergedBy"]) == (
        "MERGED",
        True,
        {"login": "bob"},
    )
    assert shown["mergedAt"] == shown["closedAt"] == shown["updatedAt"] == "2026-01-07T08:00:00Z"
    assert len(shown["mergeCommit"]["oid"]) == 40


def test_a_pull_request_can_be_closed_and_reopened(github: GitHub, client: httpx.Client) -> None:
    pull_request = github.pull_request("acme/api", 1)
    github.close(pull_request, "2026-01-07T10:00:00Z")
    assert show(client, github, 1)["closedAt"] == "2026-01-07T10:00:00Z"
    github.reopen(pull_request, "2026-01-08T10:00:00Z")
    shown = show(client, github, 1)
    assert (shown["state"], shown["closedAt"]) == ("OPEN", None)
    assert shown["updatedAt"] == "2026-01-08T10:00:00Z"


def test_draft_events_and_reviews_are_shown(github: GitHub, client: httpx.Client) -> None:
    pull_request = github.pull_request("acme/api", 1)
    github.convert_to_draft(pull_request, "2026-01-07T10:00:00Z")
    assert show(client, github, 1)["isDraft"]
    github.ready_for_review(pull_request, "2026-01-07T11:00:00Z")
    github.add_review(pull_request, "2026-01-07T12:00:00Z", github.account("lint", "Bot"))
    github.add_review(pull_request, None, "bob")
    shown = show(client, github, 1)
    assert not shown["isDraft"]
    assert shown["updatedAt"] == "2026-01-07T12:00:00Z"
    assert shown["timelineItems"]["nodes"] == [
        {"__typename": "ConvertToDraftEvent"},
        {"__typename": "ReadyForReviewEvent", "createdAt": "2026-01-07T11:00:00Z"},
    ]
    states = [(node["state"], node["submittedAt"]) for node in shown["reviews"]["nodes"]]
    assert states == [("APPROVED", "2026-01-07T12:00:00Z"), ("PENDING", None)]
    assert shown["reviews"]["nodes"][0]["author"] == {"__typename": "Bot", "login": "lint"}


def test_updated_at_never_moves_back(github: GitHub, client: httpx.Client) -> None:
    pull_request = github.pull_request("acme/api", 5)
    github.edit(pull_request, None, title="unseen", additions=7)
    github.edit(pull_request, "2026-01-01T00:00:00Z", labels=["b", "a"])
    shown = show(client, github, 5)
    assert shown["updatedAt"] == "2026-01-05T04:00:00Z"
    assert (shown["title"], shown["additions"]) == ("unseen", 7)
    assert shown["labels"]["nodes"] == [{"name": "a"}, {"name": "b"}]
    with pytest.raises(AttributeError, match="'titel'"):
        github.edit(pull_request, None, titel="x")


def test_a_renamed_login_shows_everywhere_at_once(github: GitHub, client: httpx.Client) -> None:
    before = show(client, github, 1)
    github.rename_account("ADA", "countess")
    shown = show(client, github, 1)
    assert shown["author"] == before["author"] | {"login": "countess"}
    assert shown["updatedAt"] == before["updatedAt"]
    assert github.find_account("ada") is None


def test_a_deleted_account_is_null_everywhere(github: GitHub, client: httpx.Client) -> None:
    pull_request = github.pull_request("acme/api", 1)
    github.add_review(pull_request, "2026-01-07T12:00:00Z", "ada")
    github.merge(pull_request, "2026-01-07T13:00:00Z", by="ada")
    id = show(client, github, 1)["author"]["id"]
    github.delete_account("ada")
    shown = show(client, github, 1)
    assert shown["author"] is shown["mergedBy"] is shown["reviews"]["nodes"][0]["author"] is None
    assert ask(client, PULL_REQUEST, id=id)["errors"][0]["type"] == "NOT_FOUND"
    row = next(iter(github.records()))
    assert (row["author"], row["author_id"], row["merged_by"]) == (None, None, None)


NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"


def test_an_unknown_id_is_null_at_its_index(github: GitHub, client: httpx.Client) -> None:
    first, last = (github.pull_request("acme/api", number).id for number in (1, 2))
    body = ask(client, NODES, ids=[first, "PR_nobody", last])
    assert body["data"]["nodes"] == [{"id": first}, None, {"id": last}]
    (error,) = body["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["nodes", 1])
    assert error["message"] == "Could not resolve to a node with the global id of 'PR_nobody'."
    assert error["locations"][0]["line"] == 1


def test_a_deleted_pull_request_is_not_found(github: GitHub, client: httpx.Client) -> None:
    pull_request = github.pull_request("acme/api", 10)
    github.delete_pull_request(pull_request)
    assert ask(client, NODES, ids=[pull_request.id])["errors"][0]["type"] == "NOT_FOUND"
    text = """{ repository(owner: "acme", name: "api") { pullRequests { totalCount } } }"""
    assert data(client, text)["repository"]["pullRequests"]["totalCount"] == 9
    added = github.add_pull_request(pull_request.repository, "2026-02-01T00:00:00Z", None)
    assert added.number == 11


def test_more_than_a_hundred_ids_are_refused(client: httpx.Client) -> None:
    body = ask(client, NODES, ids=["x"] * 101)
    assert body["errors"][0]["type"] == "ARGUMENT_LIMIT"
    assert body["data"] is None


REPOSITORY = """query($o: String!, $n: String!) { a: repository(owner: $o, name: $n) {
  id nameWithOwner isArchived } }"""


def test_an_unknown_repository_is_not_found(client: httpx.Client) -> None:
    body = ask(client, REPOSITORY, o="acme", n="nothing")
    assert body["data"] == {"a": None}
    assert body["errors"] == [
        {
            "type": "NOT_FOUND",
            "path": ["a"],
            "locations": [{"line": 1, "column": 35}],
            "message": "Could not resolve to a Repository with the name 'acme/nothing'.",
        }
    ]


def test_a_renamed_repository_answers_to_both_names(github: GitHub, client: httpx.Client) -> None:
    before = data(client, REPOSITORY, o="acme", n="api")["a"]
    github.rename_repository(github.repository("acme/api"), "other/service")
    for owner, name in (("ACME", "Api"), ("other", "service")):
        shown = data(client, REPOSITORY, o=owner, n=name)["a"]
        assert shown == before | {"nameWithOwner": "other/service"}
    github.create_repository("acme/api", "2026-03-01T00:00:00Z")
    assert data(client, REPOSITORY, o="acme", n="api")["a"]["id"] != before["id"]
    strict = """{ repository(owner: "acme", name: "api", followRenames: false) { id } }"""
    assert data(client, strict)["repository"]["id"] != before["id"]


def test_a_recreated_repository_has_a_new_id(github: GitHub, client: httpx.Client) -> None:
    repository = github.repository("acme/api")
    pull_request = github.pull_request("acme/api", 1)
    github.delete_repository(repository)
    assert "errors" in ask(client, REPOSITORY, o="acme", n="api")
    assert len(ask(client, NODES, ids=[repository.id, pull_request.id])["errors"]) == 2
    assert github.create_repository("acme/api", "2026-03-01T00:00:00Z").id != repository.id


def test_a_blocked_repository_and_its_pull_requests_are_forbidden(
    github: GitHub, client: httpx.Client
) -> None:
    repository, pull_request = github.repository("acme/api"), github.pull_request("acme/api", 1)
    github.block_repository(repository)
    body = ask(client, NODES, ids=[repository.id, pull_request.id])
    assert body["data"]["nodes"] == [None, None]
    assert [error["type"] for error in body["errors"]] == ["FORBIDDEN", "FORBIDDEN"]
    assert body["errors"][0]["extensions"] == {"saml_failure": True}
    assert ask(client, REPOSITORY, o="acme", n="api")["errors"][0]["type"] == "FORBIDDEN"
    github.block_repository(repository, None)
    assert data(client, NODES, ids=[repository.id])


def test_an_unreadable_pull_request_is_null_in_the_page(
    github: GitHub, client: httpx.Client
) -> None:
    pull_request = github.pull_request("acme/api", 9)
    github.edit(pull_request, None, is_unreadable=True)
    text = """{ repository(owner: "acme", name: "api") { pullRequests(first: 3, orderBy:
      {field: UPDATED_AT, direction: DESC}) { nodes { number } } } }"""
    body = ask(client, text)
    numbers = body["data"]["repository"]["pullRequests"]["nodes"]
    assert numbers == [{"number": 10}, None, {"number": 8}]
    assert body["errors"][0]["path"] == ["repository", "pullRequests", "nodes", 1]
    assert "errors" in ask(client, NODES, ids=[pull_request.id])


OWNED = """query($login: String!) { repositoryOwner(login: $login) { __typename
  repositories(first: 2, orderBy: {field: CREATED_AT, direction: ASC}) {
    pageInfo { hasNextPage } nodes { nameWithOwner } } } }"""


def test_an_owners_repositories_are_listed_by_creation(
    github: GitHub, client: httpx.Client
) -> None:
    for month, name in ((3, "acme/web"), (2, "acme/ops"), (2, "else/web")):
        github.create_repository(name, f"2026-0{month}-01T00:00:00Z")
    owner = data(client, OWNED, login="Acme")["repositoryOwner"]
    assert owner["__typename"] == "Organization"
    names = [node["nameWithOwner"] for node in owner["repositories"]["nodes"]]
    assert names == ["acme/api", "acme/ops"]
    assert owner["repositories"]["pageInfo"]["hasNextPage"]
    assert data(client, OWNED, login="nobody")["repositoryOwner"] is None


CONNECTION = '{{ repository(owner: "acme", name: "api") {{ pullRequests{} {{ {} }} }} }}'


@pytest.mark.parametrize(
    ("arguments", "selection", "type"),
    [
        ("", "nodes { id }", "MISSING_PAGINATION_BOUNDARIES"),
        ("", "... on PullRequestConnection { nodes { id } }", "MISSING_PAGINATION_BOUNDARIES"),
        ("(first: 101)", "nodes { id }", "EXCESSIVE_PAGINATION"),
        ("(first: 100)", "nodes { id }", None),
        ("", "totalCount", None),
    ],
)
def test_a_missing_or_too_large_page_size_is_refused(
    arguments: str, selection: str, type: str | None, client: httpx.Client
) -> None:
    body = ask(client, CONNECTION.format(arguments, selection))
    assert [error["type"] for error in body.get("errors", [])] == ([type] if type else [])


def test_a_query_for_too_many_nodes_is_refused(server: Server, client: httpx.Client) -> None:
    pulls = "pullRequests(first: 100) { nodes { labels(first: 50) { nodes { name } } } }"
    text = """{ repositoryOwner(login: "acme") { repositories(first: 100) { nodes { %s } } } }"""
    body = ask(client, text % pulls)
    assert body["errors"][0]["type"] == "MAX_NODE_LIMIT_EXCEEDED"
    assert "510,100" in body["errors"][0]["message"]
    assert server.requests[0].cost == 0


def test_a_hundred_names_are_resolved_in_one_query(github: GitHub, client: httpx.Client) -> None:
    from ingest.github import queries

    names = {f"n{i}": "api" if i == 42 else f"missing-{i}" for i in range(100)}
    owners = {f"o{i}": "acme" for i in range(100)}
    body = ask(client, queries.resolve_document(100), **names, **owners)
    assert len(body["errors"]) == 99
    assert body["data"]["r42"]["nameWithOwner"] == "acme/api"
    assert body["data"]["rateLimit"]["cost"] == 1


def test_an_instant_needs_a_zone_and_loses_its_fraction() -> None:
    assert instant("2026-01-07T10:00:00.9+02:00") == "2026-01-07T08:00:00Z"
    with pytest.raises(ValueError, match="zone"):
        instant("2026-01-07T10:00:00")
