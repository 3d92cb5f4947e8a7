"""Pull requests as JSON Lines: the format of real exports, of the generator and of the tests.

A record is one pull request with its reviews. `repository`, `number`, `title`, `author` (login),
`state`, `created_at`, `updated_at`, `closed_at`, `merged_at`, `merged_by`, `merge_commit_sha`,
`base_ref`, `head_ref`, `first_commit_at`, `commits` and `reviews` are required. The others are
optional; a missing one has the value that GitHub shows if there is none: 0, false or null. Instants
are in UTC, without fractions of a second.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from demo.model import Account, PullRequest, Repository, Review

EVENT_TYPES = {"ready_for_review": "ReadyForReviewEvent", "convert_to_draft": "ConvertToDraftEvent"}
EVENT_NAMES = {type: name for name, type in EVENT_TYPES.items()}


class ReviewRecord(TypedDict):
    id: str
    author: str | None
    author_id: NotRequired[str | None]
    author_type: NotRequired[str | None]
    state: str
    submitted_at: str | None


class DraftEventRecord(TypedDict):
    """`event` is ready_for_review or convert_to_draft."""

    id: str
    event: str
    created_at: str


class PullRequestRecord(TypedDict):
    """An author's id, login and type are null for an account that GitHub has deleted."""

    repository: str
    number: int
    title: str
    author: str | None
    state: str
    created_at: str
    updated_at: str
    closed_at: str | None
    merged_at: str | None
    merged_by: str | None
    merge_commit_sha: str | None
    base_ref: str
    head_ref: str
    first_commit_at: str | None
    commits: int | None
    reviews: list[ReviewRecord]
    id: NotRequired[str]
    url: NotRequired[str]
    repository_id: NotRequired[str]
    author_id: NotRequired[str | None]
    author_type: NotRequired[str | None]
    merged_by_id: NotRequired[str | None]
    merged_by_type: NotRequired[str | None]
    is_draft: NotRequired[bool]
    draft_events: NotRequired[list[DraftEventRecord]]
    additions: NotRequired[int]
    deletions: NotRequired[int]
    changed_files: NotRequired[int]
    labels: NotRequired[list[str]]
    body: NotRequired[str]
    head_sha: NotRequired[str]


def read_jsonl(path: Path) -> Iterator[PullRequestRecord]:
    """Yield the records of a file; decompress it if its name ends in `.gz`."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield cast(PullRequestRecord, json.loads(line))


def write_jsonl(rows: Iterable[PullRequestRecord], path: Path) -> None:
    """Write the records; the same rows give the same bytes, gzipped or not."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def dump(pull_request: PullRequest) -> PullRequestRecord:
    """Return the current record of a pull request, including optional keys."""
    author, author_id, author_type = _shown(pull_request.author)
    merger, merger_id, merger_type = _shown(pull_request.merged_by)
    repository: Repository = pull_request.repository
    record: PullRequestRecord = {
        "repository": repository.name_with_owner,
        "number": pull_request.number,
        "title": pull_request.title,
        "author": author,
        "state": pull_request.state,
        "created_at": pull_request.created_at,
        "updated_at": pull_request.updated_at,
        "closed_at": pull_request.closed_at,
        "merged_at": pull_request.merged_at,
        "merged_by": merger,
        "merge_commit_sha": pull_request.merge_commit_oid,
        "base_ref": pull_request.base_ref_name,
        "head_ref": pull_request.head_ref_name,
        "first_commit_at": pull_request.first_commit_at,
        "commits": pull_request.commit_count,
        "reviews": [_dump_review(review) for review in pull_request.reviews],
        "id": pull_request.id,
        "url": pull_request.url,
        "repository_id": repository.id,
        "author_id": author_id,
        "author_type": author_type,
        "merged_by_id": merger_id,
        "merged_by_type": merger_type,
        "is_draft": pull_request.is_draft,
        "draft_events": [
            {"id": event.id, "event": EVENT_NAMES[event.type], "created_at": event.created_at}
            for event in pull_request.draft_events
        ],
        "additions": pull_request.additions,
        "deletions": pull_request.deletions,
        "changed_files": pull_request.changed_files,
        "labels": pull_request.labels,
    }
    if pull_request.body:
        record["body"] = pull_request.body
    if pull_request.head_oid:
        record["head_sha"] = pull_request.head_oid
    return record


def _dump_review(review: Review) -> ReviewRecord:
    author, author_id, author_type = _shown(review.author)
    return {
        "id": review.id,
        "author": author,
        "author_id": author_id,
        "author_type": author_type,
        "state": review.state,
        "submitted_at": review.submitted_at,
    }


def _shown(account: Account | None) -> tuple[str | None, str | None, str | None]:
    if account is None or account.is_deleted:
        return None, None, None
    return account.login, account.id, account.type
