import random

import httpx
import pytest
from asking import ask, data, walk

from demo.github import GitHub
from demo.pages import encode
from demo.server import Server, serve


def test_the_newest_change_comes_first(github: GitHub, client: httpx.Client) -> None:
    repository = github.repository("acme/api")
    github.edit(github.pull_request("acme/api", 3), "2026-01-06T00:00:00Z", title="changed")
    assert walk(client, repository.id, 4) == [[3, 10, 9, 8], [7, 6, 5, 4], [2, 1]]
    assert walk(client, repository.id, 10) == [[3, 10, 9, 8, 7, 6, 5, 4, 2, 1]]


def test_pages_can_be_oldest_first_and_by_creation(github: GitHub, client: httpx.Client) -> None:
    repository = github.repository("acme/api")
    github.edit(github.pull_request("acme/api", 3), "2026-01-06T00:00:00Z")
    by_change = walk(client, repository.id, 6, field="UPDATED_AT", direction="ASC")
    assert by_change == [[1, 2, 4, 5, 6, 7], [8, 9, 10, 3]]
    by_creation = walk(client, repository.id, 6, field="CREATED_AT", direction="DESC")
    assert by_creation == [[10, 9, 8, 7, 6, 5], [4, 3, 2, 1]]


def test_a_change_between_pages_does_not_shift_later_pages(
    github: GitHub, server: Server, client: httpx.Client
) -> None:
    """Number 2 moves to the top after page one, and so does 9, which was on page one."""
    repository = github.repository("acme/api")

    def between(_operation: str | None, variables: object) -> None:
        if len(server.requests) == 1:
            github.edit(github.pull_request("acme/api", 2), "2026-01-06T00:00:00Z")
            github.edit(github.pull_request("acme/api", 9), "2026-01-06T00:00:01Z")

    server.before_request = between
    assert walk(client, repository.id, 4) == [[10, 9, 8, 7], [6, 5, 4, 3], [1]]
    assert walk(client, repository.id, 4)[0] == [9, 2, 10, 8]


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_under_edits_loses_nothing_and_repeats_nothing(seed: int) -> None:
    """Unchanged ones are seen once, although others move, are added or vanish."""
    rng = random.Random(seed)
    github = GitHub()
    repository = github.create_repository("acme/big", "2026-01-01T00:00:00Z")
    # Many have the same second.
    for _ in range(300):
        github.add_pull_request(repository, f"2026-01-05T00:00:{rng.randrange(60):02d}Z", "ada")
    moved: set[int] = set()

    def between(_operation: str | None, _variables: object) -> None:
        for number in rng.sample(sorted(repository.by_number), 5):
            moved.add(number)
            pull_request = repository.by_number[number]
            if rng.random() < 0.2:
                github.delete_pull_request(pull_request)
            else:
                github.edit(pull_request, f"2026-01-06T00:00:{rng.randrange(60):02d}Z")
        moved.add(github.add_pull_request(repository, "2026-01-06T00:01:00Z", "ada").number)

    with serve(github, token="t") as server:
        server.before_request = between
        with httpx.Client(base_url=server.url, headers={"authorization": "token t"}) as client:
            seen = [number for page in walk(client, repository.id, 20) for number in page]
    stayed = set(repository.by_number) - moved
    assert len(stayed) > 100
    assert [number for number in seen if number in stayed] == sorted(
        stayed, key=lambda n: (repository.by_number[n].updated_at, n), reverse=True
    )


def test_an_empty_page_has_no_cursor(github: GitHub, client: httpx.Client) -> None:
    github.create_repository("acme/empty", "2026-01-01T00:00:00Z")
    text = """{ repository(owner: "acme", name: "empty") { pullRequests(first: 5) {
      totalCount pageInfo { hasNextPage endCursor } nodes { id } } } }"""
    assert data(client, text)["repository"]["pullRequests"] == {
        "totalCount": 0,
        "pageInfo": {"hasNextPage": False, "endCursor": None},
        "nodes": [],
    }


def test_reviews_and_draft_events_continue_after_their_cursors(
    github: GitHub, client: httpx.Client
) -> None:
    pull_request = github.pull_request("acme/api", 1)
    for minute in range(7):
        github.add_review(pull_request, f"2026-01-05T01:0{minute}:00Z", "bob", "COMMENTED")
        github.convert_to_draft(pull_request, f"2026-01-05T02:0{minute}:00Z")
    text = """query($id: ID!, $after: String, $more: String) { node(id: $id) { ... on PullRequest {
      reviews(first: 3, after: $after) { totalCount pageInfo { hasNextPage endCursor }
        nodes { submittedAt } }
      timelineItems(first: 5, after: $more, itemTypes: [CONVERT_TO_DRAFT_EVENT]) {
        pageInfo { hasNextPage endCursor } nodes { ... on ConvertToDraftEvent { createdAt } } }
    } } }"""
    page = data(client, text, id=pull_request.id)["node"]
    minutes = [node["submittedAt"][15] for node in page["reviews"]["nodes"]]
    assert minutes == ["0", "1", "2"]
    github.delete_review(pull_request, pull_request.reviews[0])
    after = page["reviews"]["pageInfo"]["endCursor"]
    more = page["timelineItems"]["pageInfo"]["endCursor"]
    page = data(client, text, id=pull_request.id, after=after, more=more)["node"]
    assert [node["submittedAt"][15] for node in page["reviews"]["nodes"]] == ["3", "4", "5"]
    assert page["reviews"]["totalCount"] == 6
    assert page["reviews"]["pageInfo"]["hasNextPage"]
    assert [node["createdAt"][15] for node in page["timelineItems"]["nodes"]] == ["5", "6"]
    assert not page["timelineItems"]["pageInfo"]["hasNextPage"]


def test_timeline_items_are_filtered_by_type_and_ordered_by_creation(
    github: GitHub, client: httpx.Client
) -> None:
    pull_request = github.pull_request("acme/api", 1)
    github.convert_to_draft(pull_request, "2026-01-05T02:00:00Z")
    github.ready_for_review(pull_request, "2026-01-05T02:00:00Z")
    text = """query($id: ID!, $types: [PullRequestTimelineItemsItemType!]) { node(id: $id) {
      ... on PullRequest { timelineItems(first: 5, itemTypes: $types) {
        nodes { __typename } } } } }"""
    both = ["READY_FOR_REVIEW_EVENT", "CONVERT_TO_DRAFT_EVENT"]

    def names(types: list[str]) -> list[str]:
        shown = data(client, text, id=pull_request.id, types=types)["node"]
        return [node["__typename"] for node in shown["timelineItems"]["nodes"]]

    assert names(both) == ["ConvertToDraftEvent", "ReadyForReviewEvent"]
    assert names(both[:1]) == ["ReadyForReviewEvent"]
    assert names(both[1:]) == ["ConvertToDraftEvent"]


@pytest.mark.parametrize("cursor", ["nonsense", "bm9uc2Vuc2U=", encode(["one"])])
def test_an_invalid_cursor_is_refused(cursor: str, client: httpx.Client) -> None:
    text = """query($after: String) { repository(owner: "acme", name: "api") {
      pullRequests(first: 5, after: $after) { nodes { id } } } }"""
    body = ask(client, text, after=cursor)
    assert body["errors"][0]["type"] == "INVALID_CURSOR_ARGUMENTS"
    assert body["errors"][0]["path"] == ["repository", "pullRequests"]
    assert body["data"] == {"repository": None}
