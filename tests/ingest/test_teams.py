import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from demo.organisation import Organisation
from dora.errors import ConfigurationError
from ingest.team_file import write_teams
from ingest.teams import over_allocations, parse_teams, read_teams


def member(**changes: object) -> dict[str, object]:
    return {"github_username": "octocat", "joined_at": "2026-01-01"} | changes


def config(*members: dict[str, object], **team: object) -> str:
    return json.dumps([{"id": "core", "name": "Core", "members": list(members)} | team])


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_teams(text)
    assert caught.value.exit_code == 2
    return caught.value.faults


def test_a_date_is_midnight_utc_and_the_weight_defaults_to_one() -> None:
    [team] = parse_teams(config(member(joined_at="2026-01-01", left_at="2026-02-01T12:00+02:00")))
    [window] = team.members
    assert window.allocation_weight == Decimal("1.00")
    assert window.joined_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert window.left_at == datetime(2026, 2, 1, 10, tzinfo=UTC)


def test_a_weight_is_the_decimal_that_was_written() -> None:
    [team] = parse_teams(config(member(allocation_weight=0.07)))
    assert team.members[0].allocation_weight == Decimal("0.07")


def test_the_id_is_made_from_the_name_where_it_is_not_given() -> None:
    [team] = parse_teams('[{"name": "Site & Reliability!", "members": []}]')
    assert team.id == "site-reliability"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param(
            '[{"id": "A b", "name": "", "members": []}]', "A b > id: sh", id="both at once"
        ),
        pytest.param('[{"name": "A", "members": {"id": "x"}}]', "A > members: sh", id="no list"),
        pytest.param('[{"name": "A", "members": [], "nme": 1}]', "no such field", id="a typo"),
        pytest.param(config(member(github_username="@x")), "not a GitHub login", id="an at"),
        pytest.param(config(member(joined_at="01/02/2026")), "a date like", id="other order"),
        pytest.param("[]", "at least one team", id="no team"),
        pytest.param("{}", "should be a list of teams", id="no array"),
        pytest.param("[{", "not valid JSON", id="cut off"),
        pytest.param('[{"name": "A", "members": [], "x": 1}]', "x", id="unknown key"),
        pytest.param('[{"name": "A", "name": "B", "members": []}]', "twice", id="key twice"),
        pytest.param('[{"name": "!!", "members": []}]', "no id can be made", id="no slug"),
        pytest.param('[{"name": "Unassigned", "members": []}]', "reserved", id="reserved"),
        pytest.param(
            config(member(allocation_weight=1.01)), "from 0.00 to 1.00 (it is 1.01)", id="above 1"
        ),
        pytest.param(
            config(member(allocation_weight=-0.1)), "from 0.00 to 1.00 (it is -0.1)", id="below 0"
        ),
        pytest.param(config(member(allocation_weight=0.125)), "2 decimal places", id="3 places"),
        pytest.param(config(member(allocation_weight=True)), "number", id="a boolean weight"),
        pytest.param(config(member(allocation_weight="much")), "decimal", id="a word as weight"),
        pytest.param(
            config(member(left_at="2026-01-01")), "not after joined_at", id="left when joined"
        ),
        pytest.param(config(member(joined_at="2026-01-01T00:00")), "without a zone", id="no zone"),
        pytest.param(config(member(joined_at=20260101)), "a date like 2026-01-31", id="a number"),
        pytest.param(config(member(joined_at="soon")), "soon", id="no date"),
        pytest.param(config(member(joined_at="2026-02-30")), "2026-02-30", id="no such day"),
        pytest.param(config(member(github_username="a b")), "a b", id="no login"),
        pytest.param(config({"github_username": "a"}), "joined_at", id="no joined_at"),
    ],
)
def test_a_bad_configuration_is_refused_and_says_why(text: str, said: str) -> None:
    assert said in "\n".join(faults(text))


@pytest.mark.parametrize("team_id", ["wg-rls-2.0", "data_platform", "0", "a--b"])
def test_ids_of_github_teams_are_accepted(team_id: str) -> None:
    text = json.dumps([{"id": team_id, "name": "A", "members": []}])
    assert [team.id for team in parse_teams(text)] == [team_id]


@pytest.mark.parametrize("team_id", ["-a", ".a", "_a", "A", "a b", "a/b", "é"])
def test_id_that_no_address_can_hold_is_refused(team_id: str) -> None:
    text = json.dumps([{"id": team_id, "name": "A", "members": []}])
    assert "start with a lower-case letter or a digit" in faults(text)[0]


def test_ids_of_accented_names_keep_their_letters_and_differ() -> None:
    names = ["Équipe données", "Zahlungen Ä", "Zahlungen Ö", "Straße", "Łódź", "Søren", "Платежи"]
    teams = parse_teams(json.dumps([{"name": name, "members": []} for name in names]))
    assert [team.id for team in teams] == [
        "equipe-donnees",
        "zahlungen-a",
        "zahlungen-o",
        "strasse",
        "lodz",
        "soren",
        "platezhi",
    ]


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (50, "50 % is 0.5 (it is 50)"),
        ("50", "50 % is 0.5 (it is '50')"),
        ("12.5 %", "12.5 % is 0.125 (it is '12.5 %')"),
        ("0.5%", "0.5 % is 0.005 (it is '0.5%')"),
        (100, "100 % is 1 (it is 100)"),
        (33.0, "33.0 % is 0.33 (it is 33.0)"),
    ],
)
def test_a_weight_in_per_cent_is_told_as_the_share_it_is(weight: object, said: str) -> None:
    [fault] = faults(config(member(allocation_weight=weight)))
    assert fault.endswith(f"allocation_weight: should be from 0.00 to 1.00: {said}")


def test_names_with_one_id_between_them_are_refused() -> None:
    names = ["C", "C++", "C#"]
    text = json.dumps([{"name": name, "members": []} for name in names])
    assert "3 teams have the id 'c'; give each a separate id" in faults(text)[0]


def test_every_fault_is_told_at_once_and_where_it_is() -> None:
    found = faults(config(member(allocation_weight=2), member(github_username="x", joined_at="?")))
    assert len(found) == 2
    assert "core > members > octocat > allocation_weight" in found[0]
    assert "core > members > x > joined_at" in found[1]


def test_faults_between_windows_are_told_beside_those_within_one() -> None:
    bad = member(github_username="ada", left_at="2025-01-01")
    found = faults(config(member(), member(joined_at="2026-02-01"), bad))
    assert len(found) == 2
    assert "not after joined_at" in found[0]
    assert "windows of octocat" in found[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({}, {"joined_at": "2026-06-01"}, id="open-ended"),
        pytest.param({"left_at": "2026-03-02"}, {"joined_at": "2026-03-01"}, id="by a day"),
        pytest.param({}, {"github_username": "OctoCat"}, id="case differs"),
        pytest.param({}, {"github_username": "octocat[bot]"}, id="as a bot"),
        pytest.param(
            {"left_at": "2026-12-01"},
            {"joined_at": "2026-02-01", "left_at": "2026-03-01"},
            id="one within the other",
        ),
    ],
)
def test_overlapping_windows_of_one_person_in_one_team_are_refused(
    first: dict[str, object], second: dict[str, object]
) -> None:
    [fault] = faults(config(member(**first), member(**second)))
    assert "overlap" in fault


def test_windows_that_touch_are_good() -> None:
    [team] = parse_teams(
        config(member(left_at="2026-03-01"), member(joined_at="2026-03-01", left_at=None))
    )
    assert len(team.members) == 2


def test_two_teams_with_one_id_are_refused() -> None:
    text = json.dumps([{"name": "A b", "members": []}, {"name": "a B", "members": []}])
    assert faults(text) == ["TEAM_CONFIG_JSON: 2 teams have the id 'a-b'; give each a separate id"]


def test_weights_above_one_are_legal_but_told() -> None:
    text = json.dumps(
        [
            {"name": "A", "members": [member(allocation_weight=0.6)]},
            {"name": "B", "members": [member(github_username="OCTOCAT", allocation_weight=0.5,
                                             joined_at="2026-02-01")]},
        ]
    )  # fmt: skip
    assert over_allocations(parse_teams(text)) == [
        "the weights of octocat add up to 1.10 from 2026-02-01"
    ]


def test_the_setting_may_name_a_file(tmp_path: Path) -> None:
    path = tmp_path / "teams.json"
    path.write_text(config(member()), "utf-8")
    assert [team.id for team in read_teams(str(path))] == ["core"]


ONE = {"allocation_weight": 1}
YAML = """
# Comments are allowed.
- name: Payments
  description: ~
  defaults: {joined_at: 2026-01-01, allocation_weight: 0.5}
  members:
    - octocat
    - github_username: hubot
      allocation_weight: 1
      joined_at: 2026-02-01T09:00+01:00
      left_at:
    - github_username: 010
      also: [no, "null"]
"""


def test_yaml_file_has_the_same_fields_and_bare_logins(tmp_path: Path) -> None:
    path = tmp_path / "teams.yml"
    path.write_text(YAML, "utf-8")
    [team] = read_teams(str(path))
    assert (team.id, team.description) == ("payments", None)
    assert [
        (one.github_username, one.allocation_weight, one.joined_at, one.left_at)
        for one in team.members
    ] == [
        ("octocat", Decimal("0.5"), datetime(2026, 1, 1, tzinfo=UTC), None),
        ("hubot", Decimal(1), datetime(2026, 2, 1, 8, tzinfo=UTC), None),
        ("010", Decimal("0.5"), datetime(2026, 1, 1, tzinfo=UTC), None),
    ]


def test_scalars_of_yaml_are_texts_and_only_an_unquoted_null_is_null() -> None:
    text = "- name: 1e3\n  id: on\n  members:\n  - {github_username: no, joined_at: 2026-01-01}\n"
    [team] = parse_teams(text)
    assert (team.id, team.name, team.members[0].github_username) == ("on", "1e3", "no")
    [team] = parse_teams("- {name: 'null', description: \"~\", members: []}")
    assert (team.name, team.description) == ("null", "~")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "- name: A\n  name: B\n", "line 1: an object has the key 'name' twice", id="twin"
        ),
        pytest.param("- name: [A\n", "not valid YAML: line 2: expected", id="not closed"),
        pytest.param("- {name: A, members: &a []}\n- {name: B, members: *a}", "alias", id="alias"),
        pytest.param("&a [*a]", "alias", id="list within itself"),
        pytest.param("? [a]\n: b", "a key is not a text", id="list as a key"),
        pytest.param("a: 1\n--- \nb: 1", "found another document", id="two documents"),
        pytest.param("Payments: octocat", "should be a list of teams", id="no list"),
        pytest.param("hello", "should be a list of teams", id="a word"),
        pytest.param("- \x07", "special characters are not allowed", id="control character"),
        pytest.param("- {name: A, members: }", "members: should be a list", id="null as members"),
        pytest.param("- {name: A, members: [@x]}", "not valid YAML", id="at sign"),
    ],
)
def test_bad_yaml_is_refused_and_says_why(text: str, said: str) -> None:
    assert said in "\n".join(faults(text))


def test_name_of_the_file_decides_between_yaml_and_json() -> None:
    text = "[{name: A, members: []}]"
    assert [team.id for team in parse_teams(text, "teams.yaml")] == ["a"]
    with pytest.raises(ConfigurationError, match=r"teams\.json is not valid JSON"):
        parse_teams(text, "teams.json")


def test_bad_default_is_reported_once_beside_the_faults_of_members() -> None:
    found = faults(
        config(
            {"github_username": "ada"},
            {"github_username": "bob"},
            {"github_username": "eve", "joined_at": "then"},
            defaults={"joined_at": "soon", "left_at": "2026-01-01"},
        )
    )
    assert len(found) == 3
    assert "core > defaults > joined_at: should be a date" in found[0]
    assert "core > defaults > left_at: no such field" in found[1]
    assert "core > members > eve > joined_at: should be a date" in found[2]


def test_member_without_the_field_in_member_and_defaults_is_a_fault() -> None:
    assert (
        "core > members > ada > joined_at: is missing"
        in faults(
            config("ada", defaults={"joined_at": None})  # type: ignore[arg-type]
        )[0]
    )


def test_fault_of_a_member_is_told_although_its_value_equals_a_default() -> None:
    # `true` equals 1 in Python.
    bad = (member(allocation_weight=True), member(github_username="ada", joined_at="soon"))
    assert [fault.split(" > ")[2] for fault in faults(config(*bad, defaults=ONE))] == [
        "octocat",
        "ada",
    ]


@pytest.mark.parametrize("file", ["teams.yaml", "teams.json"])
def test_written_teams_are_read_as_the_same(file: str, organisation: Organisation) -> None:
    teams = parse_teams(json.dumps(organisation.team_config()))
    odd = [
        member(github_username="010", also=["no", "1e3"], allocation_weight=0.07),
        member(github_username="null", joined_at="2026-01-01T08:30:00.5+02:00"),
        member(github_username="y", left_at="2026-02-01"),
    ]
    teams += parse_teams(config(*odd, name="~", id="010", description=" 2026-01-01: # é\n- x"))
    windows = [{"path": "ops", "left_at": "2026-03-01"}, {"path": "Eng", "joined_at": "2026-03-01"}]
    teams += parse_teams(config(name="Grouped", id="grouped", group="Eng/Web"))
    teams += parse_teams(config(name="Moved", id="moved", groups=windows))
    text = write_teams(teams, file, "a comment\nof two lines")
    assert [team.row() for team in parse_teams(text, file)] == [team.row() for team in teams]


def test_yaml_has_the_comment_and_bare_logins() -> None:
    teams = parse_teams(config(member(), member(github_username="hubot")))
    assert write_teams(teams, "teams.yaml", "Drafted.\nToday.") == (
        "# Drafted.\n# Today.\n- id: core\n  name: Core\n  defaults:\n    joined_at: 2026-01-01\n"
        "  members:\n  - octocat\n  - hubot\n"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no-such\.json.*No such file"):
        read_teams(str(tmp_path / "no-such.json"))


def test_other_accounts_of_a_person_are_listed_in_also() -> None:
    [team] = parse_teams(config(member(also=["octocat_acme", "octo-old"])))
    assert team.row()["memberships"][0]["also"] == "octocat_acme,octo-old"
    [team] = parse_teams(config(member()))
    assert team.row()["memberships"][0]["also"] is None


def test_every_account_that_would_belong_to_two_people_is_told() -> None:
    assert faults(
        config(
            member(also=["Ada", "ada", "cat"]),
            member(github_username="bob", also=["x[bot]"]),
            member(github_username="X"),
            member(github_username="eve", also=["bob", "X"]),
            member(github_username="dan", also=["@dan"]),
        )
    ) == [
        "TEAM_CONFIG_JSON: core > members > octocat: octocat and its `also` name 'ada' twice",
        "TEAM_CONFIG_JSON: core > members > dan > also > 0: is not a GitHub login: use letters, "
        "digits and hyphens, no @ (it is '@dan')",
        "TEAM_CONFIG_JSON: bob is an account of bob and of eve: list each person under one login, "
        "and that login's other accounts in its `also`",
        "TEAM_CONFIG_JSON: x is an account of X and of bob and of eve: list each person under one "
        "login, and that login's other accounts in its `also`",
    ]


def test_two_windows_of_one_person_under_two_logins_are_refused() -> None:
    (fault,) = faults(config(member(also=["octocat_acme"]), member(github_username="octocat_acme")))
    assert "octocat_acme is an account of octocat and of octocat_acme" in fault


def teams_in(*groups: dict[str, object]) -> str:
    """A configuration of one team per entry, named A, B and so on, with that group or groups."""
    names = "ABCDEF"
    return json.dumps(
        [{"name": names[at], "members": []} | group for at, group in enumerate(groups)]
    )


def test_a_path_is_a_group_and_so_is_each_of_its_beginnings() -> None:
    [team] = parse_teams(teams_in({"group": " Engineering /Site & Ops"}))
    dates = {"joined_at": None, "left_at": None}
    assert team.row()["groups"] == [
        {
            "team_id": "a",
            "group_id": "engineering",
            "name": "Engineering",
            "parent_group_id": "all",
        }
        | dates,
        {
            "team_id": "a",
            "group_id": "engineering.site-ops",
            "name": "Engineering/Site & Ops",
            "parent_group_id": "engineering",
        }
        | dates,
    ]


def test_windows_in_groups_that_touch_are_good() -> None:
    windows = [
        {"path": "eng", "left_at": "2026-03-01"},
        {"path": "ops", "joined_at": "2026-03-01", "left_at": "2026-06-01"},
    ]
    [team] = parse_teams(teams_in({"groups": windows}))
    march, june = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    rows = [(row["group_id"], row["joined_at"], row["left_at"]) for row in team.row()["groups"]]
    assert rows == [("eng", None, march), ("ops", march, june)]


def test_a_team_without_a_group_has_no_rows() -> None:
    [team] = parse_teams(teams_in({}))
    assert team.row()["groups"] == []


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        pytest.param([{"group": "eng//web"}], "A > group: should be names separated", id="empty"),
        pytest.param([{"group": "eng/!!"}], "A > group: should be names separated", id="no slug"),
        pytest.param([{"group": ""}], "A > group: should be names separated", id="empty path"),
        pytest.param([{"group": ["eng"]}], "A > group: should be a text", id="a list"),
        pytest.param([{"group": "All/web"}], "'all' is reserved for the group of all", id="all"),
        pytest.param([{"group": "Unassigned"}], "'unassigned' is reserved", id="unassigned"),
        pytest.param([{"id": "all"}], "id 'all' is reserved for the group", id="team named all"),
        pytest.param(
            [{"groups": [{"path": "eng", "from": "2026-01-01"}]}],
            "A > groups > eng > from: no such field",
            id="unknown field",
        ),
        pytest.param(
            [{"groups": [{"path": "eng", "joined_at": "2026-02-01", "left_at": "2026-02-01"}]}],
            "A > groups > eng: left_at is not after joined_at",
            id="left when joined",
        ),
        pytest.param(
            [{"groups": [{"path": "eng", "left_at": "0001-01-01"}]}],
            "A > groups > eng: left_at is not after joined_at",
            id="left at the beginning of time",
        ),
        pytest.param(
            [{"groups": [{"path": "eng"}, {"path": "eng/web"}]}],
            "a: its windows in the groups eng and eng/web overlap",
            id="no dates",
        ),
        pytest.param(
            [
                {
                    "groups": [
                        {"path": "eng/web", "left_at": "2026-03-02"},
                        {"path": "ops", "joined_at": "2026-03-01"},
                    ]
                }
            ],
            "a: its windows in the groups eng/web and ops overlap",
            id="overlap by a day",
        ),
        pytest.param(
            [{"group": "eng", "groups": [{"path": "ops"}]}],
            "has both `group` and `groups`",
            id="both",
        ),
        pytest.param(
            [{"group": "x/C"}, {"group": "x/C++"}],
            "the groups 'x/C' and 'x/C++' have the same id 'x.c'",
            id="same id",
        ),
        pytest.param(
            [{"group": "Eng"}, {"group": "eng/web"}],
            "the groups 'Eng' and 'eng' have the same id 'eng'",
            id="other case",
        ),
        pytest.param(
            [{"group": "eng/b"}, {"id": "eng.b"}],
            "'eng.b' is the id of a team and of a group",
            id="id of a team",
        ),
        pytest.param([{"group": "B"}, {}], "'b' is the id of a team and", id="name of a team"),
    ],
)
def test_a_bad_group_is_refused_and_says_why(groups: list[dict[str, object]], said: str) -> None:
    assert said in "\n".join(faults(teams_in(*groups)))


def test_faults_of_groups_are_told_beside_those_of_members() -> None:
    text = json.dumps(
        [
            {"name": "A", "group": "C", "members": [member(allocation_weight=2)]},
            {"name": "B", "members": [], "groups": [{"path": "c#"}, {"path": "/"}]},
        ]
    )
    told = faults(text)
    assert len(told) == 3
    assert "A > members > octocat > allocation_weight" in told[0]
    assert "B > groups > / > path: should be names separated" in told[1]
    assert "the groups 'C' and 'c#' have the same id 'c'" in told[2]
