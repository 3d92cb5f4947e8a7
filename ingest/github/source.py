"""The dlt source: one landing's rows, and the state that belongs to them."""

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
    """What lands together: rows for the tables of `raw`, and dlt's state once they are there."""

    pull_requests: list[Row] = field(default_factory=list)
    repositories: list[Row] = field(default_factory=list)
    user_logins: list[Row] = field(default_factory=list)
    teams: list[Row] | None = None
    ingest_runs: list[Row] = field(default_factory=list)
    ingest_failures: list[Row] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    def parts(self) -> "Iterator[Batch]":
        """Yield the data and the state, then the rows that say what is loaded."""
        data = replace(self, repositories=[], ingest_runs=[])
        claims = Batch(
            repositories=self.repositories, ingest_runs=self.ingest_runs, state=self.state
        )
        if any((data.pull_requests, data.user_logins, data.ingest_failures, data.teams)):
            yield data
        yield claims


def _resource(
    name: str,
    rows: list[Row] | None,
    columns: TTableSchemaColumns,
    *,
    key: list[str],
    nested: dict[str, TTableSchemaColumns] | None = None,
) -> DltResource:
    """Declare a table: merged on `key`, or replaced as a whole where there is none."""
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
    """Return the table of every kind of row in the batch."""
    made = [
        _resource(
            "pull_requests",
            batch.pull_requests,
            tables.PULL_REQUESTS,
            key=["id"],
            nested={"reviews": tables.REVIEWS, "draft_events": tables.DRAFT_EVENTS},
        ),
        _resource("repositories", batch.repositories, tables.REPOSITORIES, key=["id"]),
        _resource("user_logins", batch.user_logins, tables.USER_LOGINS, key=["user_id", "login"]),
        _resource("ingest_runs", batch.ingest_runs, tables.INGEST_RUNS, key=["run_id"]),
        _resource("ingest_failures", batch.ingest_failures, tables.INGEST_FAILURES, key=["id"]),
    ]
    if batch.teams is not None:
        made.append(
            _resource(
                "teams",
                batch.teams,
                tables.TEAMS,
                key=[],
                nested={"memberships": tables.TEAM_MEMBERSHIPS},
            )
        )
    return made


def _remember(state: dict[str, Any]) -> DltResource:
    """Put the state into the landing: dlt keeps it in a table of its own, beside the data."""

    @dlt.resource(name="progress")
    def progress() -> Iterator[Row]:
        dlt.current.source_state().update(state)
        yield from ()

    return progress()


@dlt.source(name=NAME)
def github(batch: Batch) -> Any:
    """All that lands of one batch."""
    return [*resources(batch), _remember(batch.state)]
