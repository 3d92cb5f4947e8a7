"""`dbt source freshness`: the ingest is stale 12 hours after its last complete run."""

from datetime import UTC, datetime, timedelta

import pytest
from dbt_support import Row, Warehouse

COUNTS = ("repositories", "repositories_failed", "pull_requests", "reviews", "draft_events")
COUNTS += ("failures", "requests", "points", "response_bytes")


def ingest_run(hours: float, status: str) -> Row:
    """A run that finished this many hours ago."""
    finished_at = datetime.now(UTC) - timedelta(hours=hours)
    return dict.fromkeys(COUNTS, 0) | {
        "run_id": f"{status} {hours}",
        "started_at": finished_at - timedelta(minutes=5),
        "finished_at": finished_at,
        "status": status,
        "exit_code": 0 if status == "complete" else 1,
    }


@pytest.mark.parametrize(
    ("runs", "status"),
    [
        ([(13, "complete"), (11.9, "complete")], "pass"),
        ([(12.1, "complete")], "error"),
        ([(13, "complete"), (1, "failed"), (1, "interrupted")], "error"),
        ([], "error"),
    ],
    ids=["fresh", "stale", "failed runs do not count", "never"],
)
def test_freshness_depends_on_the_last_complete_run(
    warehouse: Warehouse, runs: list[tuple[float, str]], status: str
) -> None:
    with warehouse.database.connect() as connection:
        connection.execute("truncate raw.ingest_runs")
    warehouse.insert(ingest_runs=[ingest_run(*one) for one in runs])
    assert warehouse.dbt("source", "freshness") == {"ingest_runs": status}
