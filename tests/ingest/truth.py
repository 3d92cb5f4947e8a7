"""Compares `raw` with GitHub; tests for lost data end with this comparison."""

import json
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row

from demo.github import GitHub
from demo.model import PullRequest
from dora.database import Database
from ingest.github.reverts import find_reverts

TABLES = ("pull_requests", "pull_request_reviews", "pull_request_draft_events", "user_logins")


def rows(database: Database, query: str) -> list[dict[str, Any]]:
    with database.connect("dora_transform") as connection:
        return connection.cursor(row_factory=dict_row).execute(query).fetchall()


def counts(database: Database) -> dict[str, int]:
    return {
        table: rows(database, f"select count(*) as n from raw.{table}")[0]["n"] for table in TABLES
    }


def landed(database: Database) -> dict[str, Any]:
    """The content of `raw`, in the form of the server's records."""
    found = rows(
        database,
        """
        select
            pull_requests.id, repositories.repository, number, title, state, is_draft,
            author_id, author_login as author, author_type, created_at, updated_at,
            closed_at, merged_at, merged_by_login as merged_by, merge_commit_sha, base_ref,
            head_ref, head_sha, reverts, first_commit_at, commits, additions, deletions,
            changed_files, labels, url
        from raw.pull_requests
        inner join raw.repositories on pull_requests.repository_id = repositories.id
        """,
    )
    reviews = rows(
        database,
        "select id, pull_request_id, author_login as author, author_id, author_type, state, "
        "submitted_at from raw.pull_request_reviews order by submitted_at, id",
    )
    events = rows(
        database,
        "select id, pull_request_id, event, created_at from raw.pull_request_draft_events "
        "order by pull_request_id, position",
    )
    prs = {row["id"]: row | {"reviews": {}, "draft_events": []} for row in found}
    for review in reviews:
        prs[review.pop("pull_request_id")]["reviews"][review["id"]] = review
    for event in events:
        prs[event.pop("pull_request_id")]["draft_events"].append(event)
    return prs


def prs(github: GitHub) -> list[PullRequest]:
    return [pr for repository in github.repositories() for pr in repository.by_number.values()]


def truth(github: GitHub) -> dict[str, Any]:
    records = {record["id"]: record for record in json.loads(json.dumps(list(github.records())))}
    for pr in prs(github):
        records[pr.id] |= {
            "head_sha": pr.head_ref_oid,
            "reverts": find_reverts(
                pr.repository.name_with_owner, pr.title, pr.body, pr.head_ref_name
            ),
        }
    return records


def unlike(database: Database, github: GitHub) -> list[str]:
    """Name every pull request, review or draft event that is missing, doubled or stale."""
    wanted, found = truth(github), landed(database)
    faults = [f"missing {key}" for key in wanted.keys() - found.keys()]
    faults += [f"too much {key}" for key in found.keys() - wanted.keys()]
    for key in wanted.keys() & found.keys():
        record, row = wanted[key], found[key]
        record["reviews"] = {review["id"]: review for review in record["reviews"]}
        for name, value in row.items():
            if name in record and _plain(value) != record[name]:
                faults.append(f"{key}: {name} is {_plain(value)!r}, should be {record[name]!r}")
    return faults


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
