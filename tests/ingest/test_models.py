from typing import Any

import pytest
from pydantic import ValidationError

from ingest.github.models import PullRequest

EMPTY = {"totalCount": 0, "pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": []}


def node(**changes: Any) -> dict[str, Any]:
    return {
        "id": "PR_1",
        "number": 1,
        "title": "A title",
        "url": "https://github.com/acme/web/pull/1",
        "state": "MERGED",
        "isDraft": False,
        "createdAt": "2026-01-05T09:00:00Z",
        "updatedAt": "2026-01-06T09:00:00Z",
        "closedAt": "2026-01-06T09:00:00Z",
        "mergedAt": "2026-01-06T09:00:00Z",
        "additions": 1,
        "deletions": 2,
        "changedFiles": 1,
        "baseRefName": "main",
        "headRefName": "topic",
        "author": {"__typename": "User", "login": "ada", "id": "U_1"},
        "mergedBy": None,
        "mergeCommit": None,
        "labels": None,
        "commits": {"totalCount": 0, "nodes": []},
        "reviews": EMPTY,
        "timelineItems": EMPTY,
    } | changes


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param("emoji 🚀, “quotes”\nand a second line", None, id="emoji, quotes, newline"),
        pytest.param("x" * 10_000, None, id="10,000 characters"),
        pytest.param("a\0b", "ab", id="NUL"),
        pytest.param("half \ud83d a pair", "half \ufffd a pair", id="half a surrogate pair"),
    ],
)
def test_a_title_is_kept_as_far_as_postgres_can(sent: str, kept: str | None) -> None:
    title = PullRequest.model_validate(node(title=sent)).row("R_1", "acme/web")["title"]
    assert title == (sent if kept is None else kept)
    assert title.encode()


def test_nobody_as_author_reviewer_or_merger_is_null() -> None:
    review = {"id": "V_1", "state": "APPROVED", "submittedAt": None, "author": None}
    reviews = EMPTY | {"nodes": [review], "totalCount": 1}
    row = PullRequest.model_validate(node(author=None, reviews=reviews)).row("R_1", "acme/web")
    assert (row["author_id"], row["author_login"], row["merged_by_login"]) == (None, None, None)
    assert row["reviews"][0]["author_login"] is None
    assert row["reviews"][0]["submitted_at"] is None


def test_without_commits_there_is_no_first_one() -> None:
    assert PullRequest.model_validate(node()).first_commit_at is None


@pytest.mark.parametrize(
    "impossible",
    [
        pytest.param({"mergedAt": "2026-01-05T08:59:59Z"}, id="merged before created"),
        pytest.param({"closedAt": "2026-01-05T08:59:59Z"}, id="closed before created"),
        pytest.param({"createdAt": None}, id="never created"),
        pytest.param({"createdAt": "2026-01-05T09:00:00"}, id="no zone"),
        pytest.param({"reviews": None}, id="no reviews"),
        pytest.param({"number": "one"}, id="no number"),
    ],
)
def test_what_cannot_be_is_refused(impossible: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PullRequest.model_validate(node(**impossible))


def test_merged_in_the_second_it_was_created_can_be() -> None:
    at = "2026-01-05T09:00:00Z"
    assert PullRequest.model_validate(node(mergedAt=at, closedAt=at)).merged_at is not None
