"""Change numbers tell a build which pull requests changed since the last build."""

from collections.abc import Callable

from demo.github import GitHub
from demo.organisation import Organisation
from dora.database import Database
from ingest.run_result import RunResult
from tests.ingest.test_pipeline import after
from tests.ingest.truth import prs, rows

Ingest = Callable[..., RunResult]
NUMBERS = "select id, change_number from raw.pull_requests"


def numbers(database: Database) -> dict[str, int]:
    return {row["id"]: row["change_number"] for row in rows(database, NUMBERS)}


def test_what_changes_gets_a_number_above_all_before(
    ingest: Ingest, database: Database, github: GitHub, organisation: Organisation
) -> None:
    ingest()
    before = numbers(database)
    assert len(set(before.values())) == len(before) > 0
    gone, reviewed, *_, quiet = prs(github)
    github.delete_pull_request(gone)
    github.add_review(reviewed, after(organisation, 30), None, "APPROVED")
    ingest()
    now = numbers(database)
    assert min(now[gone.id], now[reviewed.id]) > max(before.values())
    assert now[quiet.id] == before[quiet.id]
    ingest()
    assert numbers(database) == now


def test_a_database_from_before_gets_numbers(ingest: Ingest, database: Database) -> None:
    ingest()
    with database.connect() as connection:
        connection.execute("alter table raw.pull_requests drop column change_number")
    ingest()
    found = numbers(database)
    assert len(set(found.values())) == len(found) > 0
