import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from dora.errors import ConfigurationError
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
        pytest.param(config(member(github_username="@x")), "no login of GitHub", id="an at"),
        pytest.param(config(member(joined_at="01/02/2026")), "a date like", id="other order"),
        pytest.param("[]", "at least one team", id="no team"),
        pytest.param("{}", "JSON array", id="no array"),
        pytest.param("[{", "no JSON", id="cut off"),
        pytest.param('[{"name": "A", "members": [], "x": 1}]', "x", id="unknown key"),
        pytest.param('[{"name": "A", "name": "B", "members": []}]', "twice", id="key twice"),
        pytest.param('[{"name": "!!", "members": []}]', "an id could be made of", id="no slug"),
        pytest.param('[{"name": "Unassigned", "members": []}]', "reserved", id="reserved"),
        pytest.param(config(member(allocation_weight=1.01)), "less than or equal", id="above 1"),
        pytest.param(config(member(allocation_weight=-0.1)), "greater than", id="below 0"),
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
    assert faults(text) == ["TEAM_CONFIG_JSON: 2 teams have the id 'a-b'"]


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


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no-such\.json.*No such file"):
        read_teams(str(tmp_path / "no-such.json"))
