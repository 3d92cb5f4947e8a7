"""The dlt source: the rows of one load and the state that belongs to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dlt
from dlt.common.schema.typing import TTableSchemaColumns
from dlt.extract import DltResource

from ingest import tables
from ingest.github.models import Row

NAME = "github"


@dataclass
class Batch:
    """The content of one load: rows for the tables of `raw`, and dlt's state after them."""

    pull_requests: list[Row] = field(default_factory=list)
    repositories: list[Row] = field(default_factory=list)
    user_logins: list[Row] = field(default_factory=list)
    deployments: list[Row] = field(default_factory=list)
    releases: list[Row] = field(default_factory=list)
    tags: list[Row] = field(default_factory=list)
    workflow_runs: list[Row] = field(default_factory=list)
    pull_request_files: list[Row] = field(default_factory=list)
    commits: list[Row] = field(default_factory=list)
    incidents: list[Row] = field(default_factory=list)
    delivery_coverage: list[Row] = field(default_factory=list)
    teams: list[Row] | None = None
    settings: list[Row] | None = None
    ingest_runs: list[Row] = field(default_factory=list)
    ingest_failures: list[Row] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    def split(self) -> "tuple[Batch, Batch]":
        """Return the data with its state, and the rows that record that it is loaded."""
        said = Batch(
            repositories=self.repositories,
            delivery_coverage=self.delivery_coverage,
            ingest_runs=self.ingest_runs,
            state=self.state,
        )
        return replace(self, repositories=[], delivery_coverage=[], ingest_runs=[]), said

    def saying(self, said: "Batch") -> "Batch":
        """Return a copy with rows that record earlier loads, unless it has the same rows newer."""
        rows = {row["id"]: row for row in (*said.repositories, *self.repositories)}
        coverage = {
            (row["repository_id"], row["kind"]): row
            for row in (*said.delivery_coverage, *self.delivery_coverage)
        }
        return replace(
            self,
            repositories=list(rows.values()),
            delivery_coverage=list(coverage.values()),
            ingest_runs=[*said.ingest_runs, *self.ingest_runs],
        )

    def has_data(self) -> bool:
        """Whether it has other rows than those that record loaded data."""
        said = {"repositories", "delivery_coverage", "ingest_runs", "state"}
        return any(rows for name, rows in vars(self).items() if name not in said)


def _resource(
    name: str,
    rows: list[Row] | None,
    columns: TTableSchemaColumns,
    *,
    key: list[str],
    nested: dict[str, TTableSchemaColumns] | None = None,
) -> DltResource:
    """Declare a table: merged on `key`, or replaced as a whole if the key is empty."""
    hints: dict[str | Sequence[str], Any] = {
        path: dlt.mark.make_nested_hints(columns=nested_columns)
        for path, nested_columns in (nested or {}).items()
    }
    made: DltResource = dlt.resource(
        rows or [],
        name=name,
        columns=columns,
        primary_key=key,
        write_disposition="merge" if key else "replace",
        max_table_nesting=1,
        nested_hints=hints,
        schema_contract={"tables": "evolve", "columns": "freeze", "data_type": "freeze"},
    )
    return made


def resources(batch: Batch) -> list[DltResource]:
    """Return a resource for every table that a batch may have rows for."""
    return [
        _resource(
            "pull_requests",
            batch.pull_requests,
            tables.PULL_REQUESTS,
            key=["id"],
            nested={"reviews": tables.REVIEWS, "draft_events": tables.DRAFT_EVENTS},
        ),
        _resource("repositories", batch.repositories, tables.REPOSITORIES, key=["id"]),
        _resource("user_logins", batch.user_logins, tables.USER_LOGINS, key=["user_id", "login"]),
        _resource(
            "deployments",
            batch.deployments,
            tables.DEPLOYMENTS,
            key=["id"],
            nested={"statuses": tables.DEPLOYMENT_STATUSES},
        ),
        _resource("releases", batch.releases, tables.RELEASES, key=["id"]),
        _resource("tags", batch.tags, tables.TAGS, key=["id"]),
        _resource("workflow_runs", batch.workflow_runs, tables.WORKFLOW_RUNS, key=["id"]),
        _resource(
            "pull_request_files",
            batch.pull_request_files,
            tables.PULL_REQUEST_FILES,
            key=["pull_request_id"],
        ),
        _resource("commits", batch.commits, tables.COMMITS, key=["repository_id", "sha"]),
        _resource("incidents", batch.incidents, tables.INCIDENTS, key=["source", "id"]),
        _resource(
            "delivery_coverage",
            batch.delivery_coverage,
            tables.DELIVERY_COVERAGE,
            key=["repository_id", "kind"],
        ),
        _resource("ingest_runs", batch.ingest_runs, tables.INGEST_RUNS, key=["run_id"]),
        _resource("ingest_failures", batch.ingest_failures, tables.INGEST_FAILURES, key=["id"]),
        _resource(
            "teams",
            batch.teams,
            tables.TEAMS,
            key=[],
            nested={"memberships": tables.TEAM_MEMBERSHIPS, "groups": tables.TEAM_GROUPS},
        ),
        _resource("settings", batch.settings, tables.SETTINGS, key=[]),
    ]


def _remember(state: dict[str, Any]) -> DltResource:
    """Add the state to the load: dlt stores it in a separate table, next to the data."""

    @dlt.resource(name="progress")
    def progress() -> Iterator[Row]:
        dlt.current.source_state().update(state)
        yield from ()

    return progress()


@dlt.source(name=NAME)
def github(batch: Batch) -> Any:
    """The tables that a batch has rows for, and its state."""
    held = [made for made in resources(batch) if getattr(batch, made.name)]
    return [*held, _remember(batch.state)]


@dlt.source(name=NAME)
def every_table() -> Any:
    """Every table, without rows."""
    return resources(Batch())
