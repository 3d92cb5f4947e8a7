"""Settings of the marts: automation logins, rules that exclude pull requests."""

from datetime import UTC, datetime

import pytest
from dbt_support import EXAMPLE, Warehouse, pull_request, review
from psycopg.types.json import Jsonb

from dora.roles import INGEST, TRANSFORM

DEVELOP = {"base_ref": "main", "head_ref": "develop", "merged_by_login": "ada", "labels": ["x"]}


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    """PR 5 has a bot's review before Ada's. PR 6 merges one long-lived branch into another.

    The first commit of PR 7 is dated 1970.
    """
    warehouse.insert(**EXAMPLE)
    warehouse.insert(
        pull_requests=[
            pull_request(5, "bob", "2026-01-05T00:00Z", "2026-01-06T00:00Z"),
            pull_request(6, "bob", "2026-01-05T00:00Z", "2026-01-06T00:00Z", **DEVELOP),
            pull_request(
                7,
                "bob",
                "2026-01-05T00:00Z",
                "2026-01-06T00:00Z",
                first_commit_at="1970-01-01T00:00Z",
            ),
            pull_request(8, "acme-ci", "2026-01-05T00:00Z", "2026-01-06T00:00Z"),
        ],
        pull_request_reviews=[
            review(5, "Acme-CI", "2026-01-05T00:00:10Z"),
            review(5, "ada", "2026-01-05T10:00Z"),
        ],
    )
    statuses = warehouse.dbt("build", "--exclude", "test_type:unit")
    assert {name for name, status in statuses.items() if status == "warn"} == {
        "first_commits_have_possible_dates"
    }
    return warehouse


def configure(warehouse: Warehouse, name: str, value: list[object]) -> None:
    with warehouse.database.connect(INGEST) as connection:
        connection.execute("delete from raw.settings where name = %s", [name])
        connection.execute("insert into raw.settings values (%s, %s)", [name, Jsonb(value)])
    warehouse.build()


def reasons(warehouse: Warehouse) -> dict[int, str]:
    with warehouse.database.connect(TRANSFORM) as connection:
        query = "select number, reason from intermediate.int_pull_requests_excluded"
        return dict(connection.execute(query).fetchall())


def test_first_commit_of_1970_is_ignored_with_a_warning(built: Warehouse) -> None:
    row = built.pull_request(7)
    assert (row["first_commit_at"], row["coding_hours"], row["total_hours"]) == (None, 0.0, 24.0)
    assert row["work_started_at"] == row["created_at"]
    (result,) = built.results("test", "--select", "first_commits_have_possible_dates")
    assert (str(result.status), result.failures) == ("warn", 1)


def test_automation_is_treated_as_a_bot_from_the_next_build(built: Warehouse) -> None:
    assert built.pull_request(5)["first_review_at"] == datetime(2026, 1, 5, 0, 0, 10, tzinfo=UTC)
    assert reasons(built)[8] == "author_never_tracked"
    configure(built, "automation_logins", ["acme-*", "BOB"])
    assert built.pull_request(5)["first_review_at"] == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert reasons(built)[8] == "bot_not_listed"
    assert (built.pull_request(5)["is_bot"], built.pull_request(1)["is_bot"]) == (True, False)
    configure(built, "automation_logins", [])
    assert built.pull_request(5)["first_review_at"] == datetime(2026, 1, 5, 0, 0, 10, tzinfo=UTC)


def test_an_excluded_pull_request_stays_visible_but_does_not_count(built: Warehouse) -> None:
    (before,) = (row for day, row in built.velocity("web").items() if str(day) == "2026-01-05")
    row = built.pull_request(6)
    assert {name: row[name] for name in ("base_ref", "head_ref", "merged_by", "excluded_by")} == {
        "base_ref": "main",
        "head_ref": "develop",
        "merged_by": "ada",
        "excluded_by": None,
    }
    assert built.shares(6) == {"web": "1.00"}
    rule = {"base": "MAIN", "head": "dev*", "reason": "merges between long-lived branches"}
    configure(built, "pull_requests", [rule])
    assert built.pull_request(6)["excluded_by"] == "merges between long-lived branches"
    assert built.shares(6) == {}
    assert reasons(built)[6] == "excluded_by_rule"
    (after,) = (row for day, row in built.velocity("web").items() if str(day) == "2026-01-05")
    assert before["prs_merged"] - after["prs_merged"] == 1
    configure(built, "pull_requests", [])
    assert built.shares(6) == {"web": "1.00"}
