"""The demo organisation has every edge case, and looks like a company."""

import itertools
import os
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta

import pytest
from windows_of_teams import HOUR, merged_by_team, moment

from demo.organisation import Organisation, generate


def test_the_same_seed_gives_the_same_bytes_in_any_process() -> None:
    script = (
        "import hashlib, json; from demo.organisation import generate; o = generate(3, 400);"
        "text = json.dumps([o.records, o.team_config(), o.repositories]);"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(hashes) == 1
    assert generate(3, 400).records == generate(3, 400).records
    assert generate(3, 400).records != generate(4, 400).records


def test_it_has_the_requested_size(organisation: Organisation) -> None:
    assert len(organisation.records) == 6000
    assert len(organisation.people) == 40 + 2
    live = {team for team, _, at in merged_by_team(organisation) if at > moment("2026-06-01")}
    assert live == {"payments", "storefront", "platform", "mobile", "data", "identity"}
    counts = Counter(row["repository"] for row in organisation.records)
    assert len(counts) == 12
    assert min(counts.values()) > 200
    first = min(moment(row["created_at"]) for row in organisation.records)
    assert timedelta(days=540) < moment(organisation.end) - first < timedelta(days=550)


@pytest.mark.parametrize("size", [100, 700])
def test_a_small_organisation_has_every_edge_case(size: int) -> None:
    small = generate(1, size, teams=8, people=50, repositories=15, months=12)
    assert len(small.records) == size
    assert max(row["updated_at"] for row in small.records) <= small.end
    assert small.planted.keys() == generate(2, 100).planted.keys()


@pytest.mark.parametrize(
    "less", [{"pull_requests": 99}, {"people": 23}, {"teams": 5}, {"months": 9}]
)
def test_a_too_small_organisation_is_refused(less: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        generate(1, **({"pull_requests": 200} | less))  # type: ignore[arg-type]


def test_instants_are_before_the_end_and_in_order(organisation: Organisation) -> None:
    for row in organisation.records:
        moments = [row["created_at"], row["closed_at"], row["merged_at"]]
        moments += [review["submitted_at"] for review in row["reviews"]]
        moments += [event["created_at"] for event in row["draft_events"]]
        known = [at for at in moments if at]
        assert row["created_at"] == min(known)
        assert max(known) <= row["updated_at"] <= organisation.end
        assert (row["state"] == "MERGED") == bool(row["merged_at"]) == bool(row["merge_commit_sha"])
        assert (row["state"] == "OPEN") == (row["closed_at"] is None)
        events = [event["created_at"] for event in row["draft_events"]]
        assert events == sorted(events)


def test_the_last_draft_event_agrees_with_is_draft(organisation: Organisation) -> None:
    for row in organisation.records:
        assert not (row["is_draft"] and row["merged_at"])
        if row["draft_events"]:
            last = row["draft_events"][-1]["event"]
            assert row["is_draft"] == (last == "convert_to_draft")


def test_numbers_rise_with_creation_and_ids_are_unique(organisation: Organisation) -> None:
    for _, rows in itertools.groupby(
        sorted(organisation.records, key=lambda row: (row["repository"], row["number"])),
        key=lambda row: row["repository"],
    ):
        numbered = list(rows)
        assert [row["number"] for row in numbered] == list(range(1, len(numbered) + 1))
        assert [row["created_at"] for row in numbered] == sorted(
            row["created_at"] for row in numbered
        )
    ids = [row["id"] for row in organisation.records]
    ids += [review["id"] for row in organisation.records for review in row["reviews"]]
    ids += [event["id"] for row in organisation.records for event in row["draft_events"]]
    assert len(ids) == len(set(ids))


def test_some_first_commits_are_late_or_missing(organisation: Organisation) -> None:
    merged = [row for row in organisation.records if row["merged_at"]]
    late = [r for r in merged if r["first_commit_at"] and r["first_commit_at"] > r["created_at"]]
    assert len(late) > 50
    assert sum(row["first_commit_at"] is None for row in merged) > 50
    assert organisation.record("rebased") in late
    assert organisation.record("no_commits")["commits"] == 0
    assert organisation.record("commits_312")["commits"] == 312
    after = organisation.record("commits_after_merge")
    assert after["first_commit_at"] > after["merged_at"]  # type: ignore[operator]


def test_titles_are_awkward(organisation: Organisation) -> None:
    titles = {row["title"] for row in organisation.records}
    assert any("🚀" in title for title in titles)
    assert any('"' in title and "'" in title for title in titles)
    assert any("\n" in title for title in titles)
    assert max(map(len, titles)) == 10_000


def test_some_have_more_than_a_page_of_reviews_and_draft_events(organisation: Organisation) -> None:
    reviews = sorted(len(row["reviews"]) for row in organisation.records)
    assert reviews[-3:] == [250, 101, 35][::-1]
    events = sorted(len(row["draft_events"]) for row in organisation.records)
    assert events[-2:] == [26, 104]
    assert max(len(row["labels"]) for row in organisation.records) == 20
    assert organisation.record("empty")["changed_files"] == 0
    assert organisation.record("huge")["additions"] > 1_000_000


def test_reviews_have_every_state_and_kind_of_author(organisation: Organisation) -> None:
    reviews = [(row, review) for row in organisation.records for review in row["reviews"]]
    states = Counter(review["state"] for _, review in reviews)
    kinds = {"APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"}
    assert states.keys() == kinds
    assert all((r["submitted_at"] is None) == (r["state"] == "PENDING") for _, r in reviews)
    assert sum(review["author_type"] == "Bot" for _, review in reviews) > 500
    assert sum(1 for row, r in reviews if r["author"] and r["author"] == row["author"]) > 100
    late = [
        row
        for row, r in reviews
        if r["submitted_at"] and row["closed_at"] and r["submitted_at"] > row["closed_at"]
    ]
    assert len(late) > 50
    assert sum(not row["reviews"] for row in organisation.records) > 100


@pytest.mark.parametrize(
    ("plant", "after"),
    [
        ("review_at_once", 0),
        ("review_at_merge", 8 * HOUR),
        ("review_after_merge", 8 * HOUR + timedelta(seconds=1)),
    ],
)
def test_reviews_at_the_opening_at_the_merge_and_a_second_later(
    plant: str, after: timedelta, organisation: Organisation
) -> None:
    row = organisation.record(plant)
    submitted = row["reviews"][0]["submitted_at"]
    assert submitted
    assert moment(submitted) - moment(row["created_at"]) == (after or timedelta())
    assert row["reviews"][0]["author"] != row["author"]


def test_draft_events_flip_in_one_second(organisation: Organisation) -> None:
    row = organisation.record("same_second_flips")
    assert len({event["created_at"] for event in row["draft_events"][:3]}) == 1
    names = [event["event"] for event in row["draft_events"]]
    assert names == ["convert_to_draft", "ready_for_review"] * 2
    flips = Counter(len(row["draft_events"]) for row in organisation.records)
    assert flips[1] > 500
    assert flips[2] > 50
    assert flips[3] > 50
    assert sum(row["is_draft"] and not row["draft_events"] for row in organisation.records) > 5


def test_a_few_are_open_or_closed_unmerged(organisation: Organisation) -> None:
    states = Counter(row["state"] for row in organisation.records)
    assert 0.88 < states["MERGED"] / 6000 < 0.95
    assert states["OPEN"] > 50
    assert states["CLOSED"] > 200


def test_weekends_and_holidays_have_few_pull_requests(organisation: Organisation) -> None:
    created = [moment(row["created_at"]) for row in organisation.records]
    assert sum(at.weekday() >= 5 for at in created) / len(created) < 0.05
    days = Counter(at.date() for at in created if at.weekday() < 5)
    christmas = [days[date(2025, 12, day)] for day in (24, 25, 26, 29, 30)]
    before = [days[date(2025, 12, day)] for day in (8, 9, 10, 11, 12)]
    assert sum(christmas) < 0.4 * sum(before)
