"""The demo organisation has each thing that goes wrong somewhere, and looks like a company."""

import itertools
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

import pytest

from demo.organisation import Organisation, generate
from demo.records import PullRequestRecord

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Window:
    team: str
    login: str
    weight: Decimal
    joined: datetime
    left: datetime

    def holds(self, at: datetime) -> bool:
        return self.joined <= at < self.left


def moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def windows(config: list[dict[str, Any]]) -> list[Window]:
    return [
        Window(
            team["id"],
            member["github_username"].lower().removesuffix("[bot]"),
            Decimal(str(member.get("allocation_weight", 1))),
            moment(member["joined_at"]),
            moment(member["left_at"]) if member["left_at"] else datetime.max.replace(tzinfo=UTC),
        )
        for team in config
        for member in team["members"]
    ]


@pytest.fixture(scope="session")
def memberships(organisation: Organisation) -> list[Window]:
    return windows(organisation.team_config())


@pytest.fixture(scope="session")
def by_person(memberships: list[Window]) -> dict[str, list[Window]]:
    people: dict[str, list[Window]] = defaultdict(list)
    for window in memberships:
        people[window.login].append(window)
    return people


def merged_by_team(organisation: Organisation) -> Iterator[tuple[str, PullRequestRecord, datetime]]:
    people: dict[str, list[Window]] = defaultdict(list)
    for window in windows(organisation.team_config()):
        people[window.login].append(window)
    for row in organisation.records:
        if row["merged_at"] and row["author"]:
            at = moment(row["merged_at"])
            for window in people[row["author"].lower()]:
                if window.holds(at):
                    yield window.team, row, at


def hours(row: PullRequestRecord) -> float:
    assert row["merged_at"]
    return (moment(row["merged_at"]) - moment(row["created_at"])) / HOUR


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


def test_it_has_the_size_asked_for(organisation: Organisation) -> None:
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
def test_a_small_one_has_every_planted_thing(size: int) -> None:
    small = generate(1, size, teams=8, people=50, repositories=15, months=12)
    assert len(small.records) == size
    assert small.planted.keys() == generate(2, 100).planted.keys()


@pytest.mark.parametrize(
    "less", [{"pull_requests": 99}, {"people": 23}, {"teams": 5}, {"months": 9}]
)
def test_too_small_a_company_is_refused(less: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        generate(1, **({"pull_requests": 200} | less))  # type: ignore[arg-type]


def test_everything_lies_before_the_end_and_in_order(organisation: Organisation) -> None:
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


def test_draft_events_end_in_what_is_shown(organisation: Organisation) -> None:
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


def test_the_team_configuration_is_a_valid_one(organisation: Organisation) -> None:
    config = organisation.team_config()
    assert len({team["id"] for team in config}) == len(config) == 7
    for window in windows(config):
        assert 0 <= window.weight <= 1
        assert window.weight == round(window.weight, 2)
        assert window.joined < window.left
    for one, other in itertools.combinations(windows(config), 2):
        if (one.team, one.login) == (other.team, other.login):
            assert one.left <= other.joined or other.left <= one.joined


def test_people_move_leave_rejoin_and_join_late(
    organisation: Organisation, by_person: dict[str, list[Window]], memberships: list[Window]
) -> None:
    moves = [
        person
        for person in by_person.values()
        if any(a.left == b.joined and a.team != b.team for a in person for b in person)
    ]
    assert len(moves) >= 2
    rejoins = [
        person
        for person in by_person.values()
        if any(a.left < b.joined and a.team == b.team for a in person for b in person)
    ]
    assert rejoins
    end = moment(organisation.end)
    assert any(all(window.left <= end for window in person) for person in by_person.values())
    opening = min(window.joined for window in memberships)
    assert any(all(w.joined > opening for w in person) for person in by_person.values())
    dissolved = [window for window in memberships if window.team == "growth"]
    assert dissolved
    assert all(window.left < end for window in dissolved)


def test_weights_are_split_zero_and_more_than_whole(
    by_person: dict[str, list[Window]], memberships: list[Window], organisation: Organisation
) -> None:
    at = moment(organisation.end) - timedelta(days=1)
    held = [
        sorted(window.weight for window in person if window.holds(at))
        for person in by_person.values()
    ]
    splits = [[str(weight) for weight in weights] for weights in held]
    assert ["0.5", "0.5"] in splits
    assert ["0.3", "0.7"] in splits
    assert ["0.0", "1.0"] in splits
    assert ["0.0"] in splits
    assert ["1.0", "1.0"] in splits
    assert ["0.6", "0.6"] in splits
    earlier = moment(organisation.end) - timedelta(days=500)
    sums = {sum(w.weight for w in p if w.holds(earlier)) for p in by_person.values()}
    assert Decimal("0.4") in sums
    assert any(
        "allocation_weight" not in m for t in organisation.team_config() for m in t["members"]
    )
    assert any("T" in m["joined_at"] for t in organisation.team_config() for m in t["members"])


def test_logins_differ_in_case_and_carry_the_bot_suffix(organisation: Organisation) -> None:
    authors = {row["author"] for row in organisation.records if row["author"]}
    types = {row["author"]: row["author_type"] for row in organisation.records if row["author"]}
    configured = [m["github_username"] for t in organisation.team_config() for m in t["members"]]
    lower = {author.lower() for author in authors}
    assert [name for name in configured if name not in authors and name.lower() in lower]
    (bot,) = {name for name in configured if name.endswith("[bot]")}
    assert types[bot.removesuffix("[bot]")] == "Bot"
    unlisted = {
        author
        for author, type in types.items()
        if type == "Bot" and f"{author}[bot]" not in configured
    }
    assert unlisted == {"dependabot"}


def test_some_authors_are_in_no_team_and_some_are_deleted(
    organisation: Organisation, by_person: dict[str, list[Window]]
) -> None:
    contractors = {
        row["author"]
        for row in organisation.records
        if row["author_type"] == "User" and row["author"].lower() not in by_person  # type: ignore[union-attr]
    }
    assert len(contractors) == 3
    ghosts = [row for row in organisation.records if row["author"] is None]
    assert len(ghosts) >= 20
    assert all(row["author_id"] is row["author_type"] is None for row in ghosts)
    reviewers = [review["author"] for row in organisation.records for review in row["reviews"]]
    assert reviewers.count(None) >= 20


def test_a_renamed_person_is_configured_once_by_the_old_login(organisation: Organisation) -> None:
    (rename,) = organisation.renames
    configured = [m["github_username"] for t in organisation.team_config() for m in t["members"]]
    assert configured.count(rename.old_login) == 1
    assert rename.new_login not in configured
    authored = [row for row in organisation.records if row["author"] == rename.old_login]
    assert len(authored) > 20
    assert {row["author_id"] for row in authored} == {rename.user_id}
    assert rename.at >= organisation.end


def test_first_commits_are_late_or_absent(organisation: Organisation) -> None:
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


def test_reviews_are_of_every_kind(organisation: Organisation) -> None:
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
def test_reviews_on_the_boundary(plant: str, after: timedelta, organisation: Organisation) -> None:
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


def test_merges_on_the_boundaries(
    organisation: Organisation, by_person: dict[str, list[Window]]
) -> None:
    at_move = organisation.record("merged_at_move")
    changes = {w.joined for w in by_person[at_move["author"].lower()]}  # type: ignore[union-attr]
    assert moment(at_move["merged_at"] or "") in changes
    monday = moment(organisation.record("merged_on_monday")["merged_at"] or "")
    assert (monday.weekday(), monday.hour, monday.minute, monday.second) == (0, 0, 0, 0)
    sunday = moment(organisation.record("merged_on_sunday")["merged_at"] or "")
    assert (sunday + timedelta(seconds=1)).weekday() == 0
    first = moment(organisation.record("merged_on_the_first")["merged_at"] or "")
    assert (first.day, first.hour, first.second) == (1, 0, 0)
    assert hours(organisation.record("merged_at_once")) == 0
    assert hours(organisation.record("nine_months")) == 270 * 24


def test_a_few_are_open_or_closed_unmerged(organisation: Organisation) -> None:
    states = Counter(row["state"] for row in organisation.records)
    assert 0.88 < states["MERGED"] / 6000 < 0.95
    assert states["OPEN"] > 50
    assert states["CLOSED"] > 200


def test_one_team_has_weeks_without_merges(organisation: Organisation) -> None:
    weeks: dict[str, Counter[int]] = defaultdict(Counter)
    monday = datetime(2024, 1, 1, tzinfo=UTC)
    for team, _, at in merged_by_team(organisation):
        weeks[team][(at - monday).days // 7] += 1
    gaps = {
        team: [week for week in range(min(found), max(found)) if not found[week]]
        for team, found in weeks.items()
    }
    quiet = {
        team
        for team, found in gaps.items()
        if any(second == first + 1 for first, second in itertools.pairwise(found))
    }
    assert quiet == {"identity"}


def test_one_team_slows_down_and_one_recovers(organisation: Organisation) -> None:
    end = moment(organisation.end)
    early: dict[str, list[float]] = defaultdict(list)
    late: dict[str, list[float]] = defaultdict(list)
    for team, row, at in merged_by_team(organisation):
        if at < end - timedelta(days=365):
            early[team].append(hours(row))
        elif at > end - timedelta(days=120):
            late[team].append(hours(row))
    assert median(late["payments"]) > 1.8 * median(early["payments"])
    assert median(late["storefront"]) < 0.75 * median(early["storefront"])
    assert median(late["platform"]) < median(late["mobile"])


def test_weekends_are_thin_and_holidays_dip(organisation: Organisation) -> None:
    created = [moment(row["created_at"]) for row in organisation.records]
    assert sum(at.weekday() >= 5 for at in created) / len(created) < 0.05
    days = Counter(at.date() for at in created if at.weekday() < 5)
    christmas = [days[date(2025, 12, day)] for day in (24, 25, 26, 29, 30)]
    before = [days[date(2025, 12, day)] for day in (8, 9, 10, 11, 12)]
    assert sum(christmas) < 0.4 * sum(before)
