import json
import random
import statistics
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.reference import Build, Coverage, Marts, compare, keyed, read_records, reference
from tests.reference.pull_requests import HOUR
from tests.reference.rollups import percentile_cont, weighted_percentile

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
REPOSITORY = "acme/shop"
Row = dict[str, Any]


def at(short: str) -> str:
    """Complete `01-05`, `01-05T09`, `01-05T09:30` or `2024-02-29T09` to an ISO instant."""
    day, _, clock = short.partition("T")
    day = day if len(day) > 5 else f"2026-{day}"
    clock = clock or "00"
    return f"{day}T{clock}{':00:00'[3 * clock.count(':') :]}Z"


def pr(number: int, author: str | None, created: str, merged: str | None, **more: Any) -> Row:
    merged_at = None if merged is None else at(merged)
    return {
        "repository": REPOSITORY,
        "number": number,
        "title": f"Change {number}",
        "author": author,
        "state": "OPEN" if merged is None else "MERGED",
        "created_at": at(created),
        "closed_at": merged_at,
        "merged_at": merged_at,
        "first_commit_at": None,
        "reviews": [],
    } | more


def review(by: str | None, when: str | None, **more: Any) -> Row:
    return {"author": by, "state": "APPROVED", "submitted_at": when and at(when)} | more


def switches(*events: tuple[str, str]) -> list[Row]:
    names = {"ready": "ready_for_review", "draft": "convert_to_draft"}
    return [{"event": names[to], "created_at": at(when)} for to, when in events]


def team(name: str, *members: tuple[str, Any, str, str | None]) -> Row:
    keys = ("github_username", "allocation_weight", "joined_at", "left_at")
    return {"id": name, "members": [dict(zip(keys, member, strict=True)) for member in members]}


def work_out(
    records: list[Row],
    *teams: Row,
    as_of: str | None = "2026-01-20",
    covered_from: str | None = None,
    **options: Any,
) -> Marts:
    covered = Coverage(covered_from and at(covered_from), as_of and at(as_of))
    return reference(records, teams, {REPOSITORY: covered}, **options)


def merged_by_period(rows: dict[tuple[str, date], Row], name: str = "core") -> dict[str, Any]:
    return {str(key[1]): row["prs_merged"] for key, row in rows.items() if key[0] == name}


def complete_periods(rows: dict[tuple[str, date], Row]) -> list[str]:
    return [str(period) for (_, period), row in rows.items() if row["is_complete"]]


def weights(marts: Marts, number: int) -> dict[str, str]:
    rows = marts.team_pull_requests.items()
    return {key[0]: f"{row['weight']:.2f}" for key, row in rows if key[2] == number}


def fact(record: Row, *teams: Row, **options: Any) -> Row:
    marts = work_out([record], *(teams or (ADA, WEB)), **options)
    return marts.pull_requests[REPOSITORY, record["number"]]


def phases(record: Row) -> tuple[Any, ...]:
    row = fact(record)
    names = ("coding", "draft", "pickup", "review", "total")
    return tuple(row[f"{name}_hours"] for name in names)


ADA = team("core", ("ada", 1, "2026-01-01", None))
CORE = team("core", ("Ada", 0.5, "2026-01-01", "2026-01-12"), ("Ada", 1.0, "2026-01-12", None))
WEB = team("web", ("Ada", 0.5, "2026-01-01", "2026-01-12"), ("Bob", 1.0, "2026-01-01", None))
EXAMPLES = [
    pr(1, "Ada", "01-05T09", "01-06T09"),
    pr(2, "Bob", "01-05T09", "01-05T19"),
    pr(3, "Ada", "01-11T00", "01-12T00"),
    pr(4, "Eve", "01-05T00", "01-05T01"),
]
PR_5 = pr(
    5,
    "Bob",
    "01-05T08",
    "01-05T18",
    first_commit_at=at("01-04T20"),
    draft_events=switches(("ready", "01-05T12")),
    reviews=[review("Ada", "01-05T10"), review("helper", "01-05T12:05", author_type="Bot")],
)
PR_6 = pr(
    6,
    "Bob",
    "01-06T09",
    "01-06T15",
    first_commit_at=at("01-06T10"),
    draft_events=switches(("draft", "01-06T11"), ("ready", "01-06T13")),
)


def with_member(of: Row, *member: Any) -> Row:
    return of | {"members": of["members"] + team("", member)["members"]}


def velocity_row(name: str, week: str, *figures: Any) -> Row:
    columns = (
        "prs_merged",
        "weighted_prs_merged",
        "avg_cycle_time_hours",
        "weighted_avg_cycle_time_hours",
        "contributors",
        "is_complete",
    )
    row = {"team_id": name, "week": date.fromisoformat(week)}
    return row | dict(zip(columns, figures, strict=True))


def test_worked_example_velocity_is_these_rows_and_no_others() -> None:
    expected = [
        velocity_row("core", "2026-01-05", 1, Decimal("0.5"), 24.0, 24.0, 1, True),
        velocity_row("core", "2026-01-12", 1, Decimal("1.0"), 24.0, 24.0, 1, True),
        velocity_row("core", "2026-01-19", 0, Decimal(0), None, None, 0, False),
        velocity_row("web", "2026-01-05", 2, Decimal("1.5"), 17.0, 14.666666666666666, 2, True),
        velocity_row("web", "2026-01-12", 0, Decimal(0), None, None, 0, True),
        velocity_row("web", "2026-01-19", 0, Decimal(0), None, None, 0, False),
    ]
    marts = work_out(EXAMPLES, CORE, WEB)
    assert list(compare(keyed(expected, "team_id", "week"), marts.velocity)) == []
    assert marts.build == Build(
        as_of=datetime(2026, 1, 20, tzinfo=UTC),
        data_from=datetime(2026, 1, 5, tzinfo=UTC),
        history_from=None,
    )


def test_worked_example_lead_time_is_these_rows_and_no_others() -> None:
    columns = (
        "prs_merged",
        "median_lead_time_hours",
        "p95_lead_time_hours",
        "weighted_median_lead_time_hours",
        "weighted_p95_lead_time_hours",
        "median_coding_hours",
        "median_draft_hours",
        "median_pickup_hours",
        "median_review_hours",
        "is_complete",
    )
    figures = {
        "core": (2, 24.0, 24.0, 24.0, 24.0, 0.0, 0.0, 24.0, 0.0, False),
        "web": (2, 17.0, 23.3, 10.0, 24.0, 0.0, 0.0, 17.0, 0.0, False),
    }
    january = date(2026, 1, 1)
    expected = {
        (name, january): {"team_id": name, "month": january} | dict(zip(columns, row, strict=True))
        for name, row in figures.items()
    }
    assert list(compare(expected, work_out(EXAMPLES, CORE, WEB).lead_time)) == []


def test_worked_example_eve_is_in_no_mart() -> None:
    marts = work_out(EXAMPLES, CORE, WEB)
    assert [number for _, number in marts.pull_requests] == [1, 2, 3]
    assert [weights(marts, number) for number in (1, 2, 3, 4)] == [
        {"core": "0.50", "web": "0.50"},
        {"web": "1.00"},
        {"core": "1.00"},
        {},
    ]


def test_worked_example_cleo_is_unassigned_until_she_joins() -> None:
    cleo = [pr(7, "cleo", "01-05T08", "01-05T10"), pr(8, "cleo", "01-08T08", "01-08T10")]
    core = with_member(CORE, "Cleo", 0.4, "2026-01-07", None)
    marts = work_out(EXAMPLES + cleo, core, WEB)
    assert weights(marts, 7) == {"unassigned": "1.00"}
    assert weights(marts, 8) == {"core": "0.40", "unassigned": "0.60"}
    row = marts.velocity["core", date(2026, 1, 5)]
    assert (row["prs_merged"], row["weighted_prs_merged"]) == (2, Decimal("0.9"))
    assert row["weighted_avg_cycle_time_hours"] == pytest.approx((0.5 * 24 + 0.4 * 2) / 0.9)
    assert {name for name, _ in marts.velocity} == {"core", "web"}


def test_worked_example_dan_at_zero_counts_plainly_and_not_by_weight() -> None:
    web = with_member(WEB, "Dan", 0.00, "2026-01-01", None)
    marts = work_out([*EXAMPLES, pr(9, "Dan", "01-06T00", "01-06T01")], CORE, web)
    week, month = marts.velocity["web", date(2026, 1, 5)], marts.lead_time["web", date(2026, 1, 1)]
    assert (week["prs_merged"], week["weighted_prs_merged"]) == (3, Decimal("1.5"))
    assert (week["contributors"], week["avg_cycle_time_hours"]) == (3, 35 / 3)
    assert week["weighted_avg_cycle_time_hours"] == pytest.approx(44 / 3)
    assert month["median_lead_time_hours"] == 10.0
    assert month["weighted_median_lead_time_hours"] == 10.0
    assert month["weighted_p95_lead_time_hours"] == 24.0
    assert weights(marts, 9) == {"web": "0.00", "unassigned": "1.00"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(PR_5, (12.0, 4.0, 0.0, 6.0, 22.0), id="PR 5"),
        pytest.param(PR_6, (0.0, 2.0, 4.0, 0.0, 6.0), id="PR 6"),
    ],
)
def test_worked_example_phases(record: Row, expected: tuple[float, ...]) -> None:
    assert phases(record) == expected


def test_work_starts_at_the_first_commit_or_at_creation_where_that_is_earlier() -> None:
    assert fact(PR_5)["work_started_at"] == datetime(2026, 1, 4, 20, tzinfo=UTC)
    assert fact(PR_6)["work_started_at"] == datetime(2026, 1, 6, 9, tzinfo=UTC)
    assert fact(EXAMPLES[0])["work_started_at"] == datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", {"2026-01-05": 1, "2026-01-12": 0, "2026-01-19": 0}),
        ("Europe/Berlin", {"2026-01-05": 0, "2026-01-12": 1, "2026-01-19": 0}),
    ],
)
def test_worked_example_berlin_week(zone: str, expected: dict[str, int]) -> None:
    records = [pr(1, "ada", "01-11T22:30", "01-11T23:30")]
    marts = work_out(records, ADA, reporting_timezone=zone)
    assert merged_by_period(marts.velocity) == expected


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


def test_a_renamed_person_is_one_person_and_any_login_holds() -> None:
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


def test_a_login_taken_over_by_another_person_is_the_other_person_as_a_reviewer() -> None:
    records = [
        pr(1, "ada", "01-05", "01-06", author_id="U1"),
        pr(2, "lovelace", "01-05", "01-06", author_id="U1")
        | {"reviews": [review("ada", "01-05T09", author_id="U2")]},
    ]
    row = work_out(records, ADA).pull_requests[REPOSITORY, 2]
    assert row["first_review_at"] == datetime(2026, 1, 5, 9, tzinfo=UTC)


def test_a_login_seen_only_on_a_review_or_a_vanished_pull_request_holds() -> None:
    records = [
        pr(1, "lovelace", "01-05", "01-06", author_id="U1"),
        pr(2, "eve", "01-05", "01-06", reviews=[review("ADA", "01-05", author_id="U1")]),
        pr(3, "robert", "01-05", "01-06", author_id="U2"),
        pr(4, "bob", "01-05", "01-06", author_id="U2", vanished=True),
    ]
    marts = work_out(records, ADA, WEB)
    assert weights(marts, 1) == {"core": "1.00", "web": "0.50"}
    assert weights(marts, 3) == {"web": "1.00"}


def test_bots_count_where_listed_with_or_without_suffix_and_nobody_is_no_author() -> None:
    records = [
        pr(1, "renovate[bot]", "01-05", "01-06", author_type="Bot"),
        pr(2, "renovate", "01-05", "01-06", author_type="Bot"),
        pr(3, "other[bot]", "01-05", "01-06", author_type="Bot"),
        pr(4, None, "01-05", "01-06"),
    ]
    marts = work_out(records, team("core", ("Renovate[bot]", 1, "2026-01-01", None)))
    assert [number for _, number in marts.pull_requests] == [1, 2]
    assert marts.velocity["core", date(2026, 1, 5)]["contributors"] == 1


@pytest.mark.parametrize(
    ("reviews", "expected"),
    [
        ([], None),
        ([review("bob", "01-06T12"), review("eve", "01-06T09")], "01-06T09"),
        ([review("ADA", "01-06T09")], None),
        ([review("lint", "01-06T09", author_type="Bot")], None),
        ([review(None, "01-06T09")], "01-06T09"),
        ([review("bob", None, state="PENDING")], None),
        ([review("bob", "01-06T09", state="PENDING")], None),
        ([review("bob", "01-06T09", state="DISMISSED")], "01-06T09"),
        ([review("bob", "01-05T07:59:59")], None),
        ([review("bob", "01-05T08")], "01-05T08"),
        ([review("bob", "01-07T08")], "01-07T08"),
        ([review("bob", "01-07T08:00:01")], None),
    ],
    ids=[
        "none",
        "the earliest, out of order",
        "by the author",
        "by a bot",
        "by a deleted user",
        "pending, not submitted",
        "pending",
        "dismissed",
        "before creation",
        "at creation",
        "at the merge",
        "after the merge",
    ],
)
def test_first_review(reviews: list[Row], expected: str | None) -> None:
    row = fact(pr(1, "ada", "01-05T08", "01-07T08", reviews=reviews))
    reviewed_at = expected and datetime.fromisoformat(at(expected))
    assert row["first_review_at"] == reviewed_at
    assert row["pickup_hours"] + row["review_hours"] == 48.0
    if expected is None:
        assert row["review_hours"] == 0.0


def test_reviews_of_open_and_closed_pull_requests() -> None:
    late = [review("bob", "01-09")]
    assert fact(pr(1, "ada", "01-05", None, reviews=late))["first_review_at"] is not None
    closed = pr(1, "ada", "01-05", None, state="CLOSED", closed_at=at("01-08"), reviews=late)
    row = fact(closed)
    assert row["first_review_at"] is None
    assert row["state"] == "closed"
    assert {row[name] for name in row if name.endswith("_hours")} == {None}


@pytest.mark.parametrize(
    ("is_draft", "events", "expected"),
    [
        (False, [], (0.0, 10.0)),
        (True, [], (10.0, 0.0)),
        (False, [("ready", "01-05T12")], (4.0, 6.0)),
        (True, [("draft", "01-05T12")], (6.0, 4.0)),
        (False, [("ready", "01-05T12"), ("draft", "01-05T12"), ("ready", "01-05T13")], (5.0, 5.0)),
        (False, [("draft", "01-05T12"), ("ready", "01-05T12")], (0.0, 10.0)),
        (False, [("ready", "01-05T08")], (0.0, 10.0)),
        (False, [("ready", "01-05T20")], (10.0, 0.0)),
        (False, [("ready", "01-05T10"), ("draft", "01-05T16"), ("ready", "01-06")], (4.0, 6.0)),
        (False, [("ready", "01-05T10"), ("ready", "01-05T12")], (2.0, 8.0)),
    ],
    ids=[
        "never",
        "throughout",
        "opened as a draft",
        "converted",
        "ready, draft in one second",
        "draft, ready in one second",
        "ready at creation",
        "ready after the merge",
        "merged as a draft",
        "ready twice",
    ],
)
def test_draft_hours(
    is_draft: bool, events: list[tuple[str, str]], expected: tuple[float, float]
) -> None:
    record = pr(1, "ada", "01-05T08", "01-05T18", is_draft=is_draft, draft_events=switches(*events))
    _, draft, pickup, _, total = phases(record)
    assert (draft, pickup, total) == (*expected, 10.0)


@pytest.mark.parametrize("seed", range(20))
def test_phases_agree_with_a_walk_minute_by_minute(seed: int) -> None:
    rng = random.Random(seed)
    start = datetime(2026, 1, 5, tzinfo=UTC)
    merged = rng.randint(1, 300)
    reviewed = rng.choice([None, rng.randint(0, merged)])
    times = sorted(rng.randint(-20, merged + 20) for _ in range(rng.randint(0, 8)))
    drafts = rng.random() < 0.5
    events = [(minute, drafts ^ (index % 2 == 1)) for index, minute in enumerate(times)]
    spent = {"draft": 0, "pickup": 0, "review": 0}
    for minute in range(merged):
        past = [to_draft for when, to_draft in events if when <= minute]
        if past[-1] if past else not events[0][1] if events else drafts:
            spent["draft"] += 1
        else:
            spent["pickup" if reviewed is None or minute < reviewed else "review"] += 1

    def stamp(minute: int) -> str:
        return (start + timedelta(minutes=minute)).isoformat()

    names = {True: "convert_to_draft", False: "ready_for_review"}
    record = pr(1, "ada", "01-05", "01-06", is_draft=drafts) | {
        "merged_at": stamp(merged),
        "draft_events": [{"event": names[to], "created_at": stamp(when)} for when, to in events],
        "reviews": []
        if reviewed is None
        else [review("bob", None) | {"submitted_at": stamp(reviewed)}],
    }
    assert phases(record)[1:4] == tuple(minutes / 60 for minutes in spent.values())


def test_sizes_links_and_ids_are_expected_only_of_records_that_have_them() -> None:
    bare = pr(1, "ada", "01-05", "01-06")
    assert not {"size", "url", "pull_request_id"} & fact(bare).keys()
    row = fact(bare | {"additions": 7, "deletions": 5, "url": "u", "id": "PR_1"})
    assert (row["size"], row["url"], row["pull_request_id"]) == (12, "u", "PR_1")
    assert fact(bare | {"additions": None, "deletions": 5})["size"] is None


@pytest.mark.parametrize(
    ("zone", "merged", "week"),
    [
        ("UTC", "2020-12-31T23:59:59", "2020-12-28"),
        ("UTC", "2021-01-03T23:59:59", "2020-12-28"),
        ("UTC", "2021-01-04", "2021-01-04"),
        ("UTC", "2024-02-29T12", "2024-02-26"),
        ("Europe/Berlin", "2026-03-29T21:59:59", "2026-03-23"),
        ("Europe/Berlin", "2026-03-29T22", "2026-03-30"),
        ("Europe/Berlin", "2026-10-25T22:59:59", "2026-10-19"),
        ("Europe/Berlin", "2026-10-25T23", "2026-10-26"),
        ("America/New_York", "2026-01-12T04:59:59", "2026-01-05"),
    ],
)
def test_the_week_of_a_merge(zone: str, merged: str, week: str) -> None:
    core = team("core", ("ada", 1, "2020-01-01", None))
    records = [pr(1, "ada", "2020-12-01", merged)]
    marts = work_out(records, core, as_of="2026-12-01", reporting_timezone=zone)
    weeks = merged_by_period(marts.velocity)
    assert [name for name, merges in weeks.items() if merges] == [week]
    assert {(date.fromisoformat(name)).weekday() for name in weeks} == {0}


def test_a_leap_day_and_the_month_after_it() -> None:
    records = [
        pr(1, "ada", "2024-01-31T23", "2024-02-29T23"),
        pr(2, "ada", "2024-03-01", "2024-03-01T01"),
    ]
    marts = work_out(records, team("core", ("ada", 1, "2020-01-01", None)), as_of="2024-04-01")
    assert merged_by_period(marts.lead_time) == {
        "2024-01-01": 0,
        "2024-02-01": 1,
        "2024-03-01": 1,
        "2024-04-01": 0,
    }
    assert marts.pull_requests[REPOSITORY, 1]["cycle_time_hours"] == 29 * 24.0


@pytest.mark.parametrize(
    ("as_of", "complete"),
    [("2026-03-29T21:59:59", False), ("2026-03-29T22", True), ("2026-03-30", True)],
)
def test_a_week_with_a_clock_change_is_complete_at_its_local_end(
    as_of: str, complete: bool
) -> None:
    marts = work_out(
        [pr(1, "ada", "03-24", "03-25")], ADA, as_of=as_of, reporting_timezone="Europe/Berlin"
    )
    assert marts.velocity["core", date(2026, 3, 23)]["is_complete"] is complete


@pytest.mark.parametrize(
    ("covered_from", "complete"),
    [
        (None, ["2026-01-05", "2026-01-12"]),
        ("01-05", ["2026-01-05", "2026-01-12"]),
        ("01-05T00:00:01", ["2026-01-12"]),
        ("01-12T00:00:01", []),
    ],
)
def test_a_period_that_began_before_history_from_is_not_complete(
    covered_from: str | None, complete: list[str]
) -> None:
    marts = work_out(
        [pr(1, "ada", "01-05T12", "01-14")], ADA, covered_from=covered_from, as_of="01-19"
    )
    assert complete_periods(marts.velocity) == complete
    assert list(merged_by_period(marts.velocity))[-1] == "2026-01-19"


ROW_RANGES = {
    "still a member": ([("2026-01-06", None)], ["2026-01-05", "2026-01-12", "2026-01-19"]),
    "joined before the data": ([("2020-01-01", None)], ["2026-01-05", "2026-01-12", "2026-01-19"]),
    "left on a Monday": ([("2026-01-06", "2026-01-12")], ["2026-01-05"]),
    "left just after": ([("2026-01-06", "2026-01-12T00:00:01Z")], ["2026-01-05", "2026-01-12"]),
    "leaves at as_of": ([("2026-01-06", "2026-01-20")], ["2026-01-05", "2026-01-12", "2026-01-19"]),
    "leaves after as_of": ([("2026-01-13", "2026-03-01")], ["2026-01-12", "2026-01-19"]),
    "one left, one to come": (
        [("2026-01-06", "2026-01-08"), ("2026-02-01", None)],
        ["2026-01-05", "2026-01-12", "2026-01-19"],
    ),
    "joins at as_of": ([("2026-01-20", None)], ["2026-01-19"]),
    "joins after as_of": ([("2026-01-20T00:00:01Z", None)], []),
    "left before the data": ([("2020-01-01", "2020-02-01")], []),
    "nobody": ([], []),
}


@pytest.mark.parametrize(("windows", "weeks"), ROW_RANGES.values(), ids=ROW_RANGES)
def test_the_weeks_that_have_rows(windows: list[tuple[str, str | None]], weeks: list[str]) -> None:
    core = team("core", *(("ada", 1, *window) for window in windows))
    marts = work_out([pr(1, "eve", "01-05", "01-06")], core)
    assert merged_by_period(marts.velocity) == dict.fromkeys(weeks, 0)
    assert list(merged_by_period(marts.lead_time)) == (["2026-01-01"] if weeks else [])


@pytest.mark.parametrize(
    ("left_at", "last_week"),
    [("2026-01-19", "2026-01-12"), ("2026-01-19T00:00:01Z", "2026-01-19"), (None, "2026-01-19")],
)
def test_whoever_leaves_at_as_of_has_left(left_at: str | None, last_week: str) -> None:
    core = team("core", ("ada", 1, "2026-01-06", left_at))
    marts = work_out([pr(1, "eve", "01-05", "01-06")], core, as_of="01-19")
    assert list(merged_by_period(marts.velocity))[-1] == last_week


@pytest.mark.parametrize(
    ("as_of", "complete"), [("2026-11-01T03:59:59", False), ("2026-11-01T04", True)]
)
def test_a_month_ends_at_the_first_midnight_where_the_clock_shows_two(
    as_of: str, complete: bool
) -> None:
    marts = work_out(
        [pr(1, "ada", "10-05", "10-06")], ADA, as_of=as_of, reporting_timezone="America/Havana"
    )
    assert marts.lead_time["core", date(2026, 10, 1)]["is_complete"] is complete


def test_a_merge_after_as_of_prolongs_the_rows_unless_the_team_had_not_begun() -> None:
    records = [pr(1, "ada", "01-05", "02-03"), pr(2, "bob", "01-05", "02-03")]
    late = team("late", ("bob", 1, "2026-01-21", None))
    marts = work_out(records, ADA, late)
    assert list(merged_by_period(marts.velocity).items())[-1] == ("2026-02-02", 1)
    assert complete_periods(marts.velocity) == ["2026-01-05", "2026-01-12"]
    assert merged_by_period(marts.lead_time) == {"2026-01-01": 0, "2026-02-01": 1}
    assert merged_by_period(marts.velocity, "late") == {}
    assert weights(marts, 2) == {"late": "1.00"}


def test_the_first_period_counts_all_of_its_merges_and_those_before_have_no_row() -> None:
    records = [
        pr(1, "ada", "01-02", "01-03"),
        pr(2, "ada", "01-05T10", "01-05T11"),
        pr(3, "ada", "01-07T12", "01-08"),
    ]
    marts = work_out(records, ADA, covered_from="01-07")
    assert merged_by_period(marts.velocity) == {"2026-01-05": 2, "2026-01-12": 0, "2026-01-19": 0}
    assert merged_by_period(marts.lead_time) == {"2026-01-01": 3}


def test_no_as_of_no_rollup_rows_but_facts() -> None:
    marts = work_out(EXAMPLES, CORE, WEB, as_of=None)
    assert marts.build == Build(None, None, None)
    assert (marts.velocity, marts.lead_time) == ({}, {})
    assert (len(marts.pull_requests), len(marts.team_pull_requests)) == (3, 4)


def test_coverage_over_repositories() -> None:
    records = [
        pr(1, "eve", "01-03", "01-04", repository="a/WHOLE"),
        pr(2, "ada", "01-02", "01-03", repository="a/gone"),
        pr(3, "eve", "01-01", "01-02", repository="a/whole", vanished=True),
    ]
    coverage = {
        "A/Whole": Coverage(None, at("01-20")),
        "a/walking": Coverage(at("01-10"), at("01-19")),
        "a/since": Coverage(at("01-08"), at("01-21")),
        "a/empty": Coverage(None, at("01-22")),
        "a/new": Coverage(at("01-01"), None),
        "a/gone": Coverage(at("01-15"), at("01-16"), counted=False),
    }
    marts = reference(records, [ADA], coverage)
    assert marts.build == Build(
        as_of=datetime(2026, 1, 19, tzinfo=UTC),
        data_from=datetime(2026, 1, 3, tzinfo=UTC),
        history_from=datetime(2026, 1, 10, tzinfo=UTC),
    )
    assert list(marts.pull_requests) == [("a/gone", 2)]
    assert merged_by_period(marts.velocity)["2025-12-29"] == 1


def test_what_has_vanished_or_cannot_be_is_left_out_and_what_occurs_twice_is_refused() -> None:
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


def test_weights_that_add_up_to_zero_give_no_weighted_figures() -> None:
    core = team("core", ("ada", "0.00", "2026-01-01", None))
    marts = work_out([pr(1, "ada", "01-05", "01-06")], core)
    week, month = (
        marts.velocity["core", date(2026, 1, 5)],
        marts.lead_time["core", date(2026, 1, 1)],
    )
    assert (week["prs_merged"], week["weighted_prs_merged"]) == (1, 0)
    assert (week["avg_cycle_time_hours"], week["weighted_avg_cycle_time_hours"]) == (24.0, None)
    assert month["median_lead_time_hours"] == 24.0
    assert month["weighted_median_lead_time_hours"] is None
    assert month["weighted_p95_lead_time_hours"] is None


@pytest.mark.parametrize("seed", range(20))
def test_percentiles_agree_with_the_standard_library_and_with_repetition(seed: int) -> None:
    rng = random.Random(seed)
    durations = [rng.randint(0, 50) * HOUR for _ in range(rng.randint(2, 40))]
    cuts = statistics.quantiles([one / HOUR for one in durations], n=20, method="inclusive")
    assert percentile_cont(durations, "0.5") == pytest.approx(cuts[9])
    assert percentile_cont(durations, "0.95") == pytest.approx(cuts[18])
    hundredths = [rng.choice([0, 5, 10, 33, 50, 100]) for _ in durations]
    weighted = [(one, Decimal(part) / 100) for one, part in zip(durations, hundredths, strict=True)]
    repeated = sorted(
        one for one, part in zip(durations, hundredths, strict=True) for _ in range(part)
    )
    for q in (50, 95):
        expected = repeated[-(-q * len(repeated) // 100) - 1] / HOUR if repeated else None
        assert weighted_percentile(weighted, str(q / 100)) == expected


def test_a_weighted_percentile_is_reached_exactly_where_floats_miss_it() -> None:
    weighted = [
        (1 * HOUR, Decimal("0.30")),
        (2 * HOUR, Decimal("0.25")),
        (3 * HOUR, Decimal("0.05")),
    ]
    assert 0.30 < 0.5 * (0.30 + 0.25 + 0.05)
    assert weighted_percentile(weighted, "0.5") == 1.0


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        (1.0, 1.0 + 1e-12, None),
        (1.0, 1.0 + 1e-6, "core 1: figure: expected 1.0, got 1.000001"),
        (24.0, 24, None),
        (0.0, None, "core 1: figure: expected 0.0, got null"),
        (None, 0, "core 1: figure: expected null, got 0"),
        (1, True, "core 1: figure: expected 1, got True"),
        (True, 1, "core 1: figure: expected True, got 1"),
        (1, 2, "core 1: figure: expected 1, got 2"),
        (Decimal("0.90"), Decimal("0.9"), None),
        (Decimal("0.9"), 0.9, None),
        (Decimal("0.9"), Decimal("0.91"), "core 1: figure: expected 0.9, got 0.91"),
        (
            date(2026, 1, 5),
            date(2026, 1, 12),
            "core 1: figure: expected 2026-01-05, got 2026-01-12",
        ),
    ],
)
def test_compare_values(expected: object, actual: object, difference: str | None) -> None:
    key = ("core", 1)
    found = list(compare({key: {"figure": expected}}, {key: {"figure": actual, "more": 1}}))
    assert found == ([] if difference is None else [difference])


def test_compare_names_rows_and_columns_that_are_missing_or_too_many() -> None:
    expected: dict[Any, Row] = {("core", 1): {"a": 1}, ("core", 2): {"a": None}}
    actual: dict[Any, Row] = {("core", 1): {"b": 1}, ("web", 3): {"a": "x"}}
    assert list(compare(expected, actual)) == [
        "core 1: no column a, expected 1",
        "core 2: no such row, expected {a: null}",
        "web 3: row not expected, got {a: 'x'}",
    ]
    with pytest.raises(ValueError, match="two rows of core"):
        keyed([{"team": "core"}, {"team": "core"}], "team")


@pytest.mark.parametrize(
    ("teams", "options", "message"),
    [
        ([team("core", ("ada", 0.125, "2026-01-01", None))], {}, "0.125"),
        ([team("core", ("ada", 1.01, "2026-01-01", None))], {}, "1.01"),
        ([team("core", ("ada", 1, "2026-01-01T09:00", None))], {}, "no zone"),
        ([ADA], {"attribution_instant": "closed_at"}, "closed_at"),
    ],
)
def test_what_cannot_be_is_refused(teams: list[Row], options: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        work_out(EXAMPLES, *teams, **options)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/real is absent")
@pytest.mark.parametrize("attribution_instant", ["merged_at", "created_at"])
def test_real_pull_requests_add_up(attribution_instant: str) -> None:
    marts = real_marts(attribution_instant=attribution_instant)
    for row in marts.pull_requests.values():
        if row["state"] == "merged":
            spent = [row[f"{name}_hours"] for name in ("coding", "draft", "pickup", "review")]
            assert min(spent) >= 0
            assert sum(spent) == pytest.approx(row["total_hours"])
    attributed = [
        (key[0], row["weight"])
        for key, row in marts.team_pull_requests.items()
        if key[0] != "unassigned" and marts.pull_requests[key[1:]]["state"] == "merged"
    ]
    for rows in (marts.velocity, marts.lead_time):
        assert sum(row["prs_merged"] for row in rows.values()) == len(attributed)
    weighted = sum(row["weighted_prs_merged"] for row in marts.velocity.values())
    assert weighted == sum(weight for _, weight in attributed)


def real_marts(**options: Any) -> Marts:
    records = list(read_records(REAL / "ietf_pull_requests.jsonl.gz"))
    teams = json.loads((REAL / "ietf_teams.json").read_text())
    coverage = {one["repository"]: Coverage(None, "2026-07-08T00:00:00Z") for one in records}
    return reference(records, teams, coverage, **options)
