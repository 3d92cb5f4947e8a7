"""Attribution of pull requests: windows, weights, instants, people and their logins."""

from datetime import UTC, date, datetime

import pytest

from tests.reference.cases import (
    ADA,
    EXAMPLES,
    REPOSITORY,
    WEB,
    Row,
    at,
    merged_by_period,
    pr,
    review,
    team,
    weights,
    work_out,
)


@pytest.mark.parametrize(
    ("merged", "expected"),
    [
        ("01-04T23:59:59", {"unassigned": "1.00"}),
        ("01-05", {"core": "0.30", "unassigned": "0.70"}),
        ("01-11T23:59:59", {"core": "0.30", "unassigned": "0.70"}),
        ("01-12", {"core": "0.80", "unassigned": "0.20"}),
        ("01-14T09:29:59", {"core": "0.80", "unassigned": "0.20"}),
        ("01-14T09:30", {"unassigned": "1.00"}),
        ("01-18T23:59:59", {"unassigned": "1.00"}),
        ("01-19", {"core": "1.00"}),
    ],
)
def test_windows_hold_from_joining_to_just_before_leaving(
    merged: str, expected: dict[str, str]
) -> None:
    touching_then_rejoined = team(
        "core",
        ("ADA", 0.3, "2026-01-05", "2026-01-12"),
        ("ada", "0.80", "2026-01-12", "2026-01-14T10:30+01:00"),
        ("Ada", 1, "2026-01-19", None),
    )
    marts = work_out([pr(1, "aDa", "01-01", merged)], touching_then_rejoined)
    assert weights(marts, 1) == expected


def test_weights_above_one_leave_nothing_unassigned() -> None:
    marts = work_out(
        [pr(1, "ada", "01-05", "01-06")], ADA, team("web", *[("ada", 1, "2026-01-01", None)])
    )
    assert weights(marts, 1) == {"core": "1.00", "web": "1.00"}


@pytest.mark.parametrize(
    ("record", "attribution_instant", "expected"),
    [
        (pr(1, "ada", "01-05", "01-13"), "merged_at", "01-13"),
        (pr(1, "ada", "01-05", "01-13"), "created_at", "01-05"),
        (pr(1, "ada", "01-05", None, state="CLOSED", closed_at=at("01-14")), "merged_at", "01-14"),
        (pr(1, "ada", "01-05", None, state="CLOSED", closed_at=at("01-14")), "created_at", "01-05"),
        (pr(1, "ada", "01-05", None), "merged_at", "01-05"),
    ],
    ids=["merged", "merged, by creation", "closed", "closed, by creation", "open"],
)
def test_attributed_at(record: Row, attribution_instant: str, expected: str) -> None:
    teams = (
        team("old", ("ada", 1, "2026-01-01", "2026-01-12")),
        team("new", ("ada", 1, "2026-01-12", None)),
    )
    marts = work_out([record], *teams, attribution_instant=attribution_instant)
    name = "old" if expected < "01-12" else "new"
    row = marts.team_pull_requests[name, REPOSITORY, 1]
    assert len(marts.team_pull_requests) == 1
    assert row["attributed_at"] == datetime.fromisoformat(at(expected))


def test_created_at_attribution_still_counts_in_the_week_of_the_merge() -> None:
    old = team("core", ("ada", 1, "2026-01-01", "2026-01-12"))
    records = [pr(1, "ada", "01-06", "01-27")]
    marts = work_out(records, old, attribution_instant="created_at")
    assert merged_by_period(marts.velocity) == {
        "2026-01-05": 0,
        "2026-01-12": 0,
        "2026-01-19": 0,
        "2026-01-26": 1,
    }
    assert merged_by_period(work_out(records, old).velocity) == {"2026-01-05": 0}


def test_a_renamed_person_is_one_person_under_any_login() -> None:
    records = [
        pr(1, "ada-old", "01-05", "01-06", author_id="U1"),
        pr(
            2,
            "ada-new",
            "01-06",
            "01-07",
            author_id="U1",
            reviews=[
                review("ada-old", "01-06T01", author_id="U1"),
                review("ada-older", "01-06T02"),
                review("bob", "01-06T03", author_id="U2"),
            ],
        ),
    ]
    core = team(
        "core", ("Ada-Older", 0.25, "2026-01-01", None), ("ada-new", 0.5, "2026-01-01", None)
    )
    marts = work_out(records, core, logins={"U1": {"ADA-older"}})
    assert weights(marts, 1) == weights(marts, 2) == {"core": "0.50", "unassigned": "0.50"}
    assert marts.velocity["core", date(2026, 1, 5)]["contributors"] == 1
    row = marts.pull_requests[REPOSITORY, 2]
    assert row["first_review_at"] == datetime(2026, 1, 6, 3, tzinfo=UTC)


def test_a_former_login_that_another_account_has_now_stands_only_for_that_account() -> None:
    records = [
        pr(1, "ada", "01-05", "01-06", author_id="U1"),
        pr(2, "lovelace", "01-05", "01-06", author_id="U1"),
        pr(3, "ada", "01-05", "01-06", author_id="U2"),
    ]
    both = work_out(records, ADA)
    assert [number for _, number in both.pull_requests] == [1, 2, 3]
    marts = work_out(records, ADA, bearers={"Ada": "U2"})
    assert [number for _, number in marts.pull_requests] == [3]


def test_the_accounts_in_also_are_one_person() -> None:
    records = [
        pr(1, "ada", "01-05", "01-06", author_id="U1", reviews=[review("ada_acme", "01-05T09")]),
        pr(2, "ADA_acme", "01-05", "01-06"),
        pr(3, "ada-old", "01-05", "01-06", author_id="U1"),
    ]
    member = {"github_username": "ada", "also": ["Ada_Acme"], "joined_at": "2026-01-01"}
    marts = work_out(records, {"id": "core", "name": "Core", "members": [member]})
    assert [weights(marts, number) for number in (1, 2, 3)] == [{"core": "1.00"}] * 3
    assert marts.velocity["core", date(2026, 1, 5)]["contributors"] == 1
    assert marts.pull_requests[REPOSITORY, 1]["first_review_at"] is None


def test_a_review_under_a_login_taken_over_by_another_person_counts() -> None:
    records = [
        pr(1, "ada", "01-05", "01-06", author_id="U1"),
        pr(2, "lovelace", "01-05", "01-06", author_id="U1")
        | {"reviews": [review("ada", "01-05T09", author_id="U2")]},
    ]
    row = work_out(records, ADA).pull_requests[REPOSITORY, 2]
    assert row["first_review_at"] == datetime(2026, 1, 5, 9, tzinfo=UTC)


def test_a_login_seen_only_on_a_review_or_a_vanished_pull_request_counts() -> None:
    records = [
        pr(1, "lovelace", "01-05", "01-06", author_id="U1"),
        pr(2, "eve", "01-05", "01-06", reviews=[review("ADA", "01-05", author_id="U1")]),
        pr(3, "robert", "01-05", "01-06", author_id="U2"),
        pr(4, "bob", "01-05", "01-06", author_id="U2", vanished=True),
    ]
    marts = work_out(records, ADA, WEB)
    assert weights(marts, 1) == {"core": "1.00", "web": "0.50"}
    assert weights(marts, 3) == {"web": "1.00"}


def test_listed_bots_count_with_or_without_suffix_and_deleted_authors_do_not() -> None:
    records = [
        pr(1, "renovate[bot]", "01-05", "01-06", author_type="Bot"),
        pr(2, "renovate", "01-05", "01-06", author_type="Bot"),
        pr(3, "other[bot]", "01-05", "01-06", author_type="Bot"),
        pr(4, None, "01-05", "01-06"),
    ]
    marts = work_out(records, team("core", ("Renovate[bot]", 1, "2026-01-01", None)))
    assert [number for _, number in marts.pull_requests] == [1, 2]
    assert marts.velocity["core", date(2026, 1, 5)]["contributors"] == 1


def test_vanished_or_impossible_records_are_left_out_and_duplicates_are_refused() -> None:
    records = [
        pr(1, "ada", "01-05", "01-06", vanished_at=at("01-07")),
        pr(2, "ada", "01-05T01", "01-05"),
        pr(3, "ada", "01-05", "01-05"),
    ]
    marts = work_out(records, ADA)
    assert [number for _, number in marts.pull_requests] == [3]
    assert marts.pull_requests[REPOSITORY, 3]["cycle_time_hours"] == 0.0
    with pytest.raises(ValueError, match="acme/shop#3 occurs twice"):
        work_out([records[2], records[2]], ADA)


@pytest.mark.parametrize(
    ("teams", "options", "message"),
    [
        ([team("core", ("ada", 0.125, "2026-01-01", None))], {}, "0.125"),
        ([team("core", ("ada", 1.01, "2026-01-01", None))], {}, "1.01"),
        ([team("core", ("ada", 1, "2026-01-01T09:00", None))], {}, "no zone"),
        ([ADA], {"attribution_instant": "closed_at"}, "closed_at"),
    ],
)
def test_invalid_input_is_refused(teams: list[Row], options: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        work_out(EXAMPLES, *teams, **options)
