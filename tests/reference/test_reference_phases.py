"""The reviews, drafts and phases of one pull request."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.reference.cases import (
    Row,
    at,
    fact,
    phases,
    pr,
    review,
    switches,
)


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
def test_phases_agree_with_a_count_minute_by_minute(seed: int) -> None:
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


def test_sizes_links_and_ids_are_in_the_row_only_if_the_record_has_them() -> None:
    bare = pr(1, "ada", "01-05", "01-06")
    assert not {"size", "url", "pull_request_id"} & fact(bare).keys()
    row = fact(bare | {"additions": 7, "deletions": 5, "url": "u", "id": "PR_1"})
    assert (row["size"], row["url"], row["pull_request_id"]) == (12, "u", "PR_1")
    assert fact(bare | {"additions": None, "deletions": 5})["size"] is None
