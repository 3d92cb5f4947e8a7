"""Drafts of team files, and files that follow GitHub's teams."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from dora.errors import ConfigurationError
from ingest.github.teams import Account, GitHubTeam
from ingest.team_drafts import Work, draft_from_github, draft_from_work, without_automation
from ingest.team_file import write_teams
from ingest.team_sync import Synced, sync
from ingest.teams import Team, parse_teams

CREATED = datetime(2025, 5, 1, 12, tzinfo=UTC)
TODAY = date(2026, 6, 30)


def on_github(slug: str, *logins: str, parents: tuple[str, ...] = ()) -> GitHubTeam:
    members = tuple(Account(f"U_{login}", login) for login in logins)
    return GitHubTeam(slug, slug.title(), None, CREATED, parents, members)


def windows(teams: list[Team]) -> list[tuple[str, str, str, str | None]]:
    return [
        (team.id, one.github_username, f"{one.joined_at:%Y-%m-%d}", left(one.left_at))
        for team in teams
        for one in team.members
    ]


def left(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant:%Y-%m-%d}"


def file_of(*members: dict[str, object] | str) -> list[Team]:
    entry = {
        "id": "web",
        "name": "Web",
        "members": members,
        "defaults": {"joined_at": "2026-01-01"},
    }
    return parse_teams(json.dumps([entry]))


def follow(teams: list[Team], *found: GitHubTeam, **logins: set[str]) -> Synced:
    before = [team.row() for team in teams]
    synced = sync(teams, found, TODAY, logins)
    assert [team.row() for team in teams] == before
    # The result is a valid file.
    text = json.dumps([team.model_dump(mode="json") for team in synced.teams])
    assert [team.row() for team in parse_teams(text)] == [team.row() for team in synced.teams]
    return synced


def test_draft_has_the_members_of_githubs_teams_from_the_day_the_team_was_created() -> None:
    teams = draft_from_github(
        "acme",
        [
            on_github("engineering"),
            on_github("web", "ada", "bob", parents=("engineering", "product")),
            on_github("api", "ada"),
            on_github("data", "ada"),
        ],
    )
    assert windows(teams) == [
        ("web", "ada", "2025-05-01", None),
        ("web", "bob", "2025-05-01", None),
        ("api", "ada", "2025-05-01", None),
        ("data", "ada", "2025-05-01", None),
    ]
    assert [team.group for team in teams] == ["engineering/product", None, None]
    assert [team.description for team in teams] == [None, None, None]
    weights = [one.allocation_weight for team in teams for one in team.members]
    assert weights == [Decimal("0.33"), Decimal(1), Decimal("0.33"), Decimal("0.33")]


def test_draft_names_a_team_above_in_the_description_if_it_has_members() -> None:
    teams = draft_from_github(
        "acme", [on_github("web", "ada"), on_github("shop", "bob", parents=("web",))]
    )
    assert [team.group for team in teams] == [None, None]
    assert [team.description for team in teams] == [None, "part of web"]


def test_group_of_a_draft_ends_above_the_first_team_with_members() -> None:
    teams = draft_from_github(
        "acme",
        [
            on_github("platform", "ada", parents=("engineering",)),
            on_github("sre", "bob", parents=("engineering", "platform")),
        ],
    )
    assert [(team.group, team.description) for team in teams] == [
        ("engineering", None),
        ("engineering", "part of engineering/platform"),
    ]


def test_draft_without_members_or_with_a_reserved_id_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="acme has no team with members"):
        draft_from_github("acme", [on_github("web")])
    with pytest.raises(ConfigurationError, match="'unassigned' is reserved"):
        draft_from_github("acme", [on_github("unassigned", "ada")])


def test_draft_from_work_puts_people_where_they_opened_most_lately() -> None:
    def work(login: str, repository: str, recent: int, first: str = "2026-02-01") -> Work:
        return Work(login, repository, recent, datetime.fromisoformat(f"{first}T23:30:00-03:00"))

    teams = draft_from_work(
        [
            work("ada", "acme/Web_App", 3),
            work("ada", "acme/api", 4, "2026-03-01"),
            work("bob", "acme/Web_App", 2),
            work("bob", "acme/api", 2),
            work("eve", "other/api", 1),
            work("gone", "acme/api", 0),
        ]
    )
    assert windows(teams) == [
        ("web-app", "bob", "2026-02-02", None),
        ("acme-api", "ada", "2026-02-02", None),
        ("other-api", "eve", "2026-02-02", None),
    ]


def test_accounts_that_match_automation_logins_are_left_out() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    work = [Work(login, "a/b", 1, at) for login in ("ada", "Deploy-Bot", "acme-ci[bot]", "acme-cd")]
    left = without_automation(work, ["*-bot", "ACME-c?[bot]"])
    assert [each.login for each in left] == ["ada"]


def test_repositories_whose_ids_collide_are_reported() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    work = [Work("ada", "a/b_c", 1, at), Work("bob", "a/b-c", 1, at)]
    with pytest.raises(ConfigurationError, match="2 teams have the id 'a-b-c'"):
        draft_from_work(work)
    with pytest.raises(ConfigurationError, match="no pull request of a person is loaded"):
        draft_from_work([])


def test_who_left_gets_a_left_at_and_who_is_new_a_joined_at() -> None:
    synced = follow(file_of("ada", "Bob"), on_github("web", "bob", "eve"))
    assert windows(synced.teams) == [
        ("web", "ada", "2026-01-01", "2026-06-30"),
        ("web", "Bob", "2026-01-01", None),
        ("web", "eve", "2026-06-30", None),
    ]


def test_second_sync_on_the_same_day_or_later_changes_nothing() -> None:
    found = on_github("web", "bob", "eve")
    once = sync(file_of("ada", "bob"), [found], TODAY, {}).teams
    assert windows(follow(once, found).teams) == windows(once)
    assert windows(sync(once, [found], date(2026, 7, 1), {}).teams) == windows(once)


def test_past_windows_and_plans_stay_and_who_comes_back_gets_a_new_window() -> None:
    synced = follow(
        file_of(
            {"github_username": "back", "left_at": "2026-03-01"},
            {"github_username": "past", "left_at": "2026-06-30"},
            {"github_username": "leaves", "left_at": "2026-07-01"},
            {"github_username": "comes", "joined_at": "2026-07-01"},
            {"github_username": "today", "joined_at": "2026-06-30"},
        ),
        on_github("web", "back", "leaves"),
    )
    assert windows(synced.teams) == [
        ("web", "back", "2026-01-01", "2026-03-01"),
        ("web", "past", "2026-01-01", "2026-06-30"),
        ("web", "leaves", "2026-01-01", "2026-07-01"),
        ("web", "comes", "2026-07-01", None),
        ("web", "today", "2026-06-30", None),
        ("web", "back", "2026-06-30", None),
    ]


def test_renamed_person_is_recognised_by_the_node_id_of_the_loaded_data() -> None:
    renamed = GitHubTeam("web", "Web", None, CREATED, (), (Account("U_1", "Ada-Acme"),))
    synced = follow(file_of("ada"), renamed, U_1={"ada"})
    assert windows(synced.teams) == [("web", "ada", "2026-01-01", None)]
    assert synced.notes == ["ada in web is Ada-Acme on GitHub"]


def test_person_who_cannot_be_recognised_is_reported() -> None:
    synced = follow(file_of("ada"), on_github("web", "ada-acme"), U_2={"bob"})
    assert windows(synced.teams) == [
        ("web", "ada", "2026-01-01", "2026-06-30"),
        ("web", "ada-acme", "2026-06-30", None),
    ]
    [note] = synced.notes
    assert note.startswith("web: the loaded data does not have ada: if ada-acme is a new login")
    # The data knows another account of this login, so it is another person.
    assert follow(file_of("ada"), on_github("web", "new"), U_2={"ada"}).notes == []


def test_login_that_changed_hands_means_its_present_bearer() -> None:
    renamed, bearer = Account("U_1", "new"), Account("U_2", "ada")
    team = GitHubTeam("web", "Web", None, CREATED, (), (renamed, bearer))
    synced = follow(file_of("ada"), team, U_1={"ada", "new"}, U_2={"ada"})
    assert windows(synced.teams) == [
        ("web", "ada", "2026-01-01", None),
        ("web", "new", "2026-06-30", None),
    ]


def test_new_member_gets_the_default_weight_of_the_team() -> None:
    entry = {
        "name": "Web",
        "defaults": {"joined_at": "2026-01-01", "allocation_weight": 0.5},
        "members": ["ada"],
    }
    synced = follow(parse_teams(json.dumps([entry])), on_github("web", "ada", "bob"))
    assert [one.allocation_weight for one in synced.teams[0].members] == [Decimal("0.5")] * 2
    again = parse_teams(write_teams(synced.teams, "teams.yaml"), "teams.yaml")
    assert again[0].usual_weight == Decimal("0.5")


def test_another_account_of_a_person_counts_as_the_person() -> None:
    member = {"github_username": "ada", "also": ["ada_acme"]}
    assert windows(follow(file_of(member), on_github("web", "ada_acme")).teams) == [
        ("web", "ada", "2026-01-01", None)
    ]


def test_new_member_is_listed_under_the_login_of_another_team() -> None:
    api = parse_teams('[{"name": "Api", "members": []}]')
    synced = follow([*file_of("ada"), *api], on_github("web", "ada-2"), on_github("api", "ada-2"),
                    **{"U_ada-2": {"ada"}})  # fmt: skip
    assert windows(synced.teams) == [
        ("web", "ada", "2026-01-01", None),
        ("api", "ada", "2026-06-30", None),
    ]


def test_teams_that_only_one_side_has_stay_and_are_named() -> None:
    synced = follow(file_of("ada"), on_github("api", "bob"), on_github("empty"))
    assert windows(synced.teams) == [("web", "ada", "2026-01-01", None)]
    assert [note.partition(":")[0] for note in synced.notes] == [
        "GitHub has no team web",
        "GitHub's team api is not in the file",
    ]
