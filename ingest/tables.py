"""The tables of schema `raw`: every column is declared, so an empty one is there too.

Instants are timestamptz in UTC. `pull_request_reviews` and `pull_request_draft_events` are nested
tables of `pull_requests`, `team_memberships` of `teams`: dlt replaces a row together with what is
nested in it, in one transaction. The names of nested tables come from `ingest.naming`.
"""

from typing import Any

from dlt.common.schema.typing import TColumnSchema, TTableSchemaColumns


def _columns(**types: str) -> TTableSchemaColumns:
    """Column hints from `name="type"`; a trailing `!` means not null."""
    columns: dict[str, TColumnSchema] = {}
    for name, declared in types.items():
        hint: dict[str, Any] = {
            "name": name,
            "data_type": declared.rstrip("!"),
            "nullable": not declared.endswith("!"),
        }
        if name == "allocation_weight":
            hint |= {"precision": 3, "scale": 2}
        columns[name] = hint  # type: ignore[assignment]
    return columns


REPOSITORIES = _columns(
    id="text!",
    repository="text!",
    is_archived="bool",
    is_configured="bool!",
    pull_requests="bigint",
    covered_from="timestamp",
    covered_to="timestamp",
    unreachable_since="timestamp",
    unreachable_reason="text",
)

PULL_REQUESTS = _columns(
    id="text!",
    repository_id="text!",
    repository="text!",
    number="bigint!",
    title="text!",
    url="text!",
    state="text!",
    is_draft="bool!",
    author_id="text",
    author_login="text",
    author_type="text",
    created_at="timestamp!",
    updated_at="timestamp!",
    closed_at="timestamp",
    merged_at="timestamp",
    merged_by_login="text",
    merge_commit_sha="text",
    base_ref="text",
    head_ref="text",
    first_commit_at="timestamp",
    commits="bigint",
    additions="bigint",
    deletions="bigint",
    changed_files="bigint",
    labels="json",
    vanished_at="timestamp",
)

REVIEWS = _columns(
    id="text!",
    pull_request_id="text!",
    author_id="text",
    author_login="text",
    author_type="text",
    state="text!",
    submitted_at="timestamp",
)

DRAFT_EVENTS = _columns(
    id="text!",
    pull_request_id="text!",
    event="text!",
    created_at="timestamp!",
    position="bigint!",
)

# Every login ever seen for a node id: a membership that names any of them holds for the person.
USER_LOGINS = _columns(user_id="text!", login="text!")

TEAMS = _columns(team_id="text!", name="text!", description="text")

TEAM_MEMBERSHIPS = _columns(
    team_id="text!",
    github_username="text!",
    allocation_weight="decimal!",
    joined_at="timestamp!",
    left_at="timestamp",
)

INGEST_RUNS = _columns(
    run_id="text!",
    started_at="timestamp!",
    finished_at="timestamp!",
    status="text!",
    exit_code="bigint!",
    repositories="bigint!",
    repositories_failed="bigint!",
    pull_requests="bigint!",
    reviews="bigint!",
    draft_events="bigint!",
    failures="bigint!",
    requests="bigint!",
    points="bigint!",
    response_bytes="bigint!",
    resume_at="timestamp",
    error="text",
)

INGEST_FAILURES = _columns(
    id="text!",
    run_id="text!",
    kind="text!",
    repository_id="text",
    repository="text",
    subject_id="text",
    number="bigint",
    reason="text!",
    attempts="bigint!",
    failed_at="timestamp!",
    queued_at="timestamp",
    retry_at="timestamp",
    resolved_at="timestamp",
)

# Every table of `raw` that is ours, by its name.
TABLES = {
    "repositories": REPOSITORIES,
    "pull_requests": PULL_REQUESTS,
    "pull_request_reviews": REVIEWS,
    "pull_request_draft_events": DRAFT_EVENTS,
    "user_logins": USER_LOGINS,
    "teams": TEAMS,
    "team_memberships": TEAM_MEMBERSHIPS,
    "ingest_runs": INGEST_RUNS,
    "ingest_failures": INGEST_FAILURES,
}
