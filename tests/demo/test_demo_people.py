"""The demo organisation's teams have every kind of membership and different speeds."""

import itertools
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median

import pytest
from windows_of_teams import Window, hours, merged_by_team, moment, windows

from demo.organisation import Organisation


@pytest.fixture(scope="session")
def memberships(organisation: Organisation) -> list[Window]:
    return windows(organisation.team_config())


@pytest.fixture(scope="session")
def by_person(memberships: list[Window]) -> dict[str, list[Window]]:
    people: dict[str, list[Window]] = defaultdict(list)
    for window in memberships:
        people[window.login].append(window)
    return people


def test_the_team_configuration_is_valid(organisation: Organisation) -> None:
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


def test_merges_at_the_boundaries_of_memberships_weeks_and_months(
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
