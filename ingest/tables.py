"""The tables of schema `raw`: every column is declared, so empty columns exist too.

Instants are timestamptz in UTC. `pull_request_reviews` and `pull_request_draft_events` are nested
tables of `pull_requests`, `team_memberships` and `team_groups` of `teams`: dlt replaces a row
together with its nested rows, in one transaction. The names of nested tables come from
`ingest.naming`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # dlt takes a second to import, and `dora build` needs only the names.
    from dlt.common.schema.typing import TColumnSchema, TTableSchemaColumns


def _columns(**types: str) -> TTableSchemaColumns:
    """Make column hints from `name="type"`; a trailing `!` means not null."""
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
    default_branch="text",
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
    head_sha="text",
    # The pull requests (`#12`) and commits that it reverts, by title, body and branch, separated by
    # spaces.
    reverts="text",
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

# Deployments, releases, tags and workflow runs may be deployments, by the source in the rules of
# DEPLOYMENTS. A row that GitHub no longer shows gets `vanished_at` and stays. `commit_sha` is the
# commit of the tag or the deployment.
DEPLOYMENTS = _columns(
    id="text!",
    repository_id="text!",
    environment="text",
    original_environment="text",
    task="text",
    state="text",
    commit_sha="text",
    ref="text",
    created_at="timestamp!",
    updated_at="timestamp",
    vanished_at="timestamp",
)

DEPLOYMENT_STATUSES = _columns(
    id="text!",
    deployment_id="text!",
    state="text!",
    environment="text",
    url="text",
    created_at="timestamp!",
    position="bigint!",
)

RELEASES = _columns(
    id="text!",
    repository_id="text!",
    tag="text!",
    name="text",
    url="text!",
    commit_sha="text",
    is_draft="bool!",
    is_prerelease="bool!",
    created_at="timestamp!",
    published_at="timestamp",
    vanished_at="timestamp",
)

# `id` is the ref's; `tagged_at` is null for a lightweight tag.
TAGS = _columns(
    id="text!",
    repository_id="text!",
    tag="text!",
    url="text",
    commit_sha="text",
    tagged_at="timestamp",
    vanished_at="timestamp",
)

# `succeeded_at` is the end of the first attempt with the conclusion `success`.
WORKFLOW_RUNS = _columns(
    id="text!",
    repository_id="text!",
    workflow="text!",
    workflow_path="text",
    branch="text",
    event="text",
    status="text",
    conclusion="text",
    commit_sha="text",
    url="text!",
    created_at="timestamp!",
    run_started_at="timestamp",
    updated_at="timestamp",
    attempts="bigint",
    succeeded_at="timestamp",
    vanished_at="timestamp",
)

# The files of merged pull requests in repositories with a rule that has `paths`: one row per pull
# request, so that its list is loaded as a whole or not at all. `is_complete` is false if GitHub
# lists only a part of them; `paths` is empty then.
PULL_REQUEST_FILES = _columns(
    pull_request_id="text!",
    repository_id="text!",
    paths="json!",
    is_complete="bool!",
)

# `parents` are separated by spaces, the first parent first. The last five columns are the commit's
# place in the graph (ingest.commit_graph).
COMMITS = _columns(
    repository_id="text!",
    sha="text!",
    parents="text!",
    authored_at="timestamp",
    committed_at="timestamp!",
    landed="bigint",
    fork="bigint",
    line="text",
    line_position="bigint",
    reach="json",
)

# docs/delivery.md describes the columns; `repository` is a name, `target` the target of a rule.
# Other loaders may write rows with other sources.
INCIDENTS = _columns(
    source="text!",
    id="text!",
    title="text",
    url="text",
    severity="text",
    started_at="timestamp!",
    resolved_at="timestamp",
    repository="text",
    target="text",
    deployment_id="text",
    commit_sha="text",
    pull_request="text",
    caused_by_change="bool",
    fixed_by="text",
)

# Up to when a repository's deliveries are loaded: one row per repository and kind (`deployments`,
# `releases`, `tags`, `workflow_runs`, `commits`, `incidents`, `pull_request_files`).
DELIVERY_COVERAGE = _columns(
    repository_id="text!",
    kind="text!",
    covered_to="timestamp",
    unreadable_since="timestamp",
    unreadable_reason="text",
)

# Every login ever seen for an account, and when it was last seen: the latest is the current login.
# The last two columns are null in older rows until the login is seen again.
USER_LOGINS = _columns(user_id="text!", login="text!", account_type="text", seen_at="timestamp")

TEAMS = _columns(team_id="text!", name="text!", description="text")

TEAM_MEMBERSHIPS = _columns(
    team_id="text!",
    github_username="text!",
    allocation_weight="decimal!",
    joined_at="timestamp!",
    left_at="timestamp",
    # Logins of the same person's other accounts, separated by commas.
    also="text",
)

# One row per window of a team in a group: `engineering.product` and, in a separate row, its parent
# `engineering`. Without `joined_at`, the team was always in the group.
TEAM_GROUPS = _columns(
    team_id="text!",
    group_id="text!",
    name="text!",
    parent_group_id="text!",
    joined_at="timestamp",
    left_at="timestamp",
)

# Settings that the marts use, so that a build with dbt alone has them too.
SETTINGS = _columns(name="text!", value="json!")

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

# Every table of `raw` that this package declares, by its name.
TABLES = {
    "repositories": REPOSITORIES,
    "pull_requests": PULL_REQUESTS,
    "pull_request_reviews": REVIEWS,
    "pull_request_draft_events": DRAFT_EVENTS,
    "user_logins": USER_LOGINS,
    "deployments": DEPLOYMENTS,
    "deployment_statuses": DEPLOYMENT_STATUSES,
    "releases": RELEASES,
    "tags": TAGS,
    "workflow_runs": WORKFLOW_RUNS,
    "pull_request_files": PULL_REQUEST_FILES,
    "commits": COMMITS,
    "incidents": INCIDENTS,
    "delivery_coverage": DELIVERY_COVERAGE,
    "teams": TEAMS,
    "team_memberships": TEAM_MEMBERSHIPS,
    "team_groups": TEAM_GROUPS,
    "settings": SETTINGS,
    "ingest_runs": INGEST_RUNS,
    "ingest_failures": INGEST_FAILURES,
}
# Every column of these tables, as (table, column).
EVERY_COLUMN = {(table, column) for table, columns in TABLES.items() for column in columns}
