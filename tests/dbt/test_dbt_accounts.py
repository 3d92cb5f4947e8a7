"""Which accounts belong to a member: former logins, logins reused by others, `also`."""

from datetime import UTC, datetime
from typing import Any

import pytest
from dbt_support import Row, Warehouse, membership, pull_request, repository, review

from dora.roles import INGEST


def seen(account: str, login: str, at: str | None, account_type: str = "User") -> Row:
    return {"user_id": account, "login": login, "account_type": account_type, "seen_at": at}


def teams_of(warehouse: Warehouse) -> dict[int, str]:
    """The team of each merged pull request that counts for a team."""
    rows = warehouse.rows(
        """
        select number, string_agg(team_id, ' ' order by team_id) as teams
        from marts.fct_team_pull_requests
        inner join marts.fct_pull_requests using (pull_request_id)
        where team_id <> 'unassigned'
        group by number
        """
    )
    return {row["number"]: row["teams"] for row in rows}


def use(warehouse: Warehouse, statement: str) -> None:
    with warehouse.database.connect(INGEST) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="module")
def base(warehouse: Warehouse) -> Warehouse:
    warehouse.insert(
        repositories=[repository()],
        teams=[{"team_id": "core", "name": "Core"}, {"team_id": "web", "name": "Web"}],
        team_memberships=[
            membership("core", "ada", "1.0", "2026-01-01T00:00Z"),
            membership("web", "bob", "1.0", "2026-01-01T00:00Z"),
        ],
        user_logins=[seen("U_1", "ada", "2026-01-05T00:00Z")],
        pull_requests=[
            pull_request(1, "ada", "2026-01-05T00:00Z", "2026-01-06T00:00Z", author_id="U_1"),
        ],
    )
    warehouse.build()
    return warehouse


def test_reused_login_belongs_to_the_new_account_from_the_next_build(base: Warehouse) -> None:
    assert teams_of(base) == {1: "core"}
    base.insert(
        user_logins=[
            seen("U_1", "ada-lovelace", "2026-01-07T00:00Z"),
            seen("U_2", "ADA", "2026-01-08T00:00Z"),
        ],
        pull_requests=[
            pull_request(2, "ADA", "2026-01-07T00:00Z", "2026-01-08T00:00Z", author_id="U_2"),
            pull_request(3, "ada-lovelace", "2026-01-07T00:00Z", "2026-01-08T00:00Z")
            | {"author_id": "U_1"},
        ],
    )
    base.build()
    assert teams_of(base) == {2: "core"}
    # U_2 takes another login: no account is called ada now, so it stands for both again.
    base.insert(user_logins=[seen("U_2", "ada-2", "2026-01-09T00:00Z")])
    base.build()
    assert teams_of(base) == {1: "core", 2: "core", 3: "core"}


def test_accounts_listed_in_also_are_one_person(base: Warehouse) -> None:
    base.insert(
        user_logins=[seen("M_9", "bob-old", "2026-01-01T00:00Z", "Mannequin")],
        pull_requests=[
            pull_request(11, "bob", "2026-01-12T00:00Z", "2026-01-13T00:00Z", author_id="U_0"),
            pull_request(12, "bob_acme", "2026-01-12T00:00Z", "2026-01-13T00:00Z", author_id="U_8"),
            pull_request(13, "bob-old", "2026-01-12T00:00Z", "2026-01-13T00:00Z", author_id="M_9"),
        ],
        pull_request_reviews=[
            review(11, "bob_acme", "2026-01-12T01:00Z", author_id="U_8"),
            review(11, "eve", "2026-01-12T02:00Z"),
            review(12, "bob", "2026-01-12T03:00Z", author_id="U_0"),
        ],
    )
    base.build()
    apart = teams_of(base)
    assert (apart[11], apart.get(12), apart.get(13)) == ("web", None, None)
    assert first_review(base, 11) == datetime(2026, 1, 12, 1, tzinfo=UTC)

    use(base, "update raw.team_memberships set also = 'Bob_Acme,bob-old' where team_id = 'web'")
    base.build()
    together = teams_of(base)
    assert [together[number] for number in (11, 12, 13)] == ["web"] * 3
    assert first_review(base, 11) == datetime(2026, 1, 12, 2, tzinfo=UTC)
    assert first_review(base, 12) is None
    (week,) = [row for day, row in base.velocity("web").items() if str(day) == "2026-01-12"]
    assert (week["prs_merged"], week["contributors"]) == (3, 1)
    assert {base.pull_request(number)["author_id"] for number in (11, 12, 13)} == {"U_0"}
    assert {base.pull_request(number)["author"] for number in (11, 12)} == {"bob", "bob_acme"}

    use(base, "update raw.team_memberships set also = null where team_id = 'web'")
    base.build()
    assert teams_of(base) == apart
    assert first_review(base, 11) == datetime(2026, 1, 12, 1, tzinfo=UTC)


def first_review(warehouse: Warehouse, number: int) -> Any:
    return warehouse.pull_request(number)["first_review_at"]
