"""Teams from CSV files of people, and back."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from demo.organisation import Organisation
from dora.errors import ConfigurationError
from ingest.people_csv import parse_people, write_people
from ingest.teams import parse_teams

HEADER = "login,team,weight,joined,left\n"


def faults(text: str, date_format: str | None = None, **columns: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_people(text, "people.csv", columns, date_format)
    assert all(fault.startswith("people.csv") for fault in caught.value.faults)
    return [fault.removeprefix("people.csv: ") for fault in caught.value.faults]


def test_export_of_an_hr_system_becomes_teams() -> None:
    text = (
        "\ufeffName;GitHub Login;Squad;FTE;Start date;End date\r\n"
        'Ada;ada;"Payments; EU";0,5;01.03.2026;\r\n'
        "Ada;ada;Web;50 %;01.03.2026;\r\n"
        "\r\n"
        '"Bob\nSmith";bob;Web;;15.01.2025;01.04.2026\r\n'
    )
    people = parse_people(text, "people.csv", {})
    assert people.unused == ["Name"]
    assert [
        (team.id, team.name, one.github_username, one.allocation_weight, one.joined_at, one.left_at)
        for team in people.teams
        for one in team.members
    ] == [
        ("payments-eu", "Payments; EU", "ada", Decimal("0.5"), day(2026, 3, 1), None),
        ("web", "Web", "ada", Decimal("0.5"), day(2026, 3, 1), None),
        ("web", "Web", "bob", Decimal(1), day(2025, 1, 15), day(2026, 4, 1)),
    ]


def day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def test_columns_can_be_mapped_by_name() -> None:
    text = "Who,Org unit,Start,Since\nada,Web,x,2026-01-01\n"
    people = parse_people(
        text, "people.csv", {"login": "Who", "team": "Org unit", "joined": "Since"}
    )
    assert people.teams[0].members[0].joined_at == day(2026, 1, 1)
    assert people.unused == ["Start"]


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        pytest.param(["2026-03-04"], day(2026, 3, 4), id="ISO"),
        pytest.param(["2026-03-04 00:00:00"], day(2026, 3, 4), id="ISO with midnight"),
        pytest.param(["03/04/2026", "25/12/2025"], day(2026, 4, 3), id="a day after the 12th"),
        pytest.param(["03/04/2026", "12/25/2025"], day(2026, 3, 4), id="the month first"),
        pytest.param(["05/05/2026"], day(2026, 5, 5), id="the same either way"),
        pytest.param(["03.04.2026"], day(2026, 4, 3), id="dots"),
        pytest.param(["4 May 2026"], day(2026, 5, 4), id="name of a month"),
    ],
)
def test_format_of_dates_is_found_over_the_whole_column(
    dates: list[str], expected: datetime
) -> None:
    lines = [f"u{number},Web,1,{text}," for number, text in enumerate(dates)]
    people = parse_people(HEADER + "\n".join(lines), "people.csv", {})
    assert people.teams[0].members[0].joined_at == expected


def test_ambiguous_dates_are_a_fault_unless_the_format_is_named() -> None:
    text = HEADER + "ada,Web,1,05/05/2026,\nbob,Web,1,03/04/2026,\n"
    assert faults(text) == [
        "line 3: joined: '03/04/2026' is 2026-04-03 as %d/%m/%Y and 2026-03-04 as %m/%d/%Y: "
        "name the format, as in --date-format %d/%m/%Y"
    ]
    people = parse_people(text, "people.csv", {}, "%m/%d/%Y")
    assert people.teams[0].members[1].joined_at == day(2026, 3, 4)


@pytest.mark.parametrize("form", ["%d/%m", "%Q", "2026", "%Y-%m-%d %"])
def test_date_format_without_day_month_and_year_is_refused(form: str) -> None:
    [fault] = faults(HEADER + "ada,Web,1,2026-01-01,\n", form)
    assert fault.startswith(f"--date-format {form!r} should name day, month and year")


def test_every_fault_is_reported_at_once_with_its_line() -> None:
    text = (
        "login,team,weight,joined,left,also\n"
        "ada,Web,50,2026-01-01,,\n"
        ",Web,,2026-01-01,,\n"
        '"bob\n",,,2026-01-01,,\n'
        "@eve,Web,,31.01.2026,2025-01-01,\n"
        "dan,Web,,,,\n"
        "kim,---,,2026-02-30,,\n"
        "lea,Web,,2026-01-01,2025-01-01,\n"
        "moe,Web,,2026-01-01,,,,\n"
        "MOE,web,1,2026-02-01,,ada\n"
        "tom,C++,1,2026-02-01,,moe\n"
        "sam,C#,1,2026-02-01,,\n"
        "kim,---,1,2026-02-01,,\n"
    )
    assert faults(text) == [
        "line 2: weight: should be from 0.00 to 1.00: 50 % is 0.5 (it is '50')",
        "'Web' (line 2) and 'web' (line 11) have the same id 'web': give each a team_id",
        "line 3: login is empty",
        "line 4: team is empty",
        "line 6: joined: '31.01.2026' is not a date of the form %Y-%m-%d",
        "line 6: login: is not a GitHub login: use letters, digits and hyphens, "
        "no @ (it is '@eve')",
        "line 7: joined is empty",
        "line 8: joined: '2026-02-30' is not a date of the form %Y-%m-%d",
        "line 8: team '---': no id can be made from this name: give the team an id",
        "line 9: left_at 2025-01-01T00:00Z of lea is not after joined_at 2026-01-01T00:00Z",
        "line 10 has 8 values, the header 6",
        "line 11: MOE is in web from 2026-01-01 already, by line 10",
        "'C++' (line 12) and 'C#' (line 13) have the same id 'c': give each a team_id",
        "line 12: moe is an account of moe and tom: list a person under one login",
    ]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        pytest.param("", {}, "is empty", id="empty"),
        pytest.param("login,team,joined\n", {}, "no line below", id="only a header"),
        pytest.param("login,joined\na,b\n", {}, "has no column team; it has 'login'", id="no team"),
        pytest.param("a\nb", {"login": "x"}, "has no column 'x'", id="mapped but missing"),
        pytest.param("a\nb", {"nope": "a"}, "--column nope is unknown", id="unknown column"),
        pytest.param("login,GitHub,team,joined\n", {}, "may all be login", id="two logins"),
        pytest.param('login,team,joined\n"a', {}, "not valid CSV", id="open quotation mark"),
        pytest.param("login,team\0,joined\n", {}, "NUL", id="NUL"),
    ],
)
def test_unusable_csv_is_refused_and_says_why(
    text: str, columns: dict[str, str], said: str
) -> None:
    assert said in "\n".join(faults(text, **columns))


def test_export_and_import_give_the_same_teams(organisation: Organisation) -> None:
    config = [team for team in organisation.team_config() if team["members"]]
    config[0]["description"] = 'With "quotes", commas\nand two lines'
    config[0]["members"][0]["also"] = ["octocat_acme", "octo-old"]
    config[1]["id"] = "another-id"
    # CSV has no groups.
    teams = parse_teams(json.dumps([{**team, "group": None} for team in config]))
    text = write_people(teams)
    again = parse_people(text, "people.csv", {}).teams
    assert [team.row() for team in again] == [team.row() for team in teams]
    assert write_people(again) == text
