"""Groups of teams in the reference: once per group, at most weight 1, while the window holds."""

import pytest

from tests.reference.cases import (
    ADA,
    CORE,
    EXAMPLES,
    WEB,
    merged_by_period,
    pr,
    team,
    work_out,
)


def weights(marts, number: int) -> dict[str, str]:
    rows = marts.group_pull_requests.items()
    return {key[0]: f"{row['weight']:.2f}" for key, row in rows if key[2] == number}


def test_half_time_in_two_teams_of_a_group_is_weight_one() -> None:
    marts = work_out(EXAMPLES, CORE | {"group": "Eng"}, WEB | {"group": "Eng/Web"})
    assert weights(marts, 1) == {"all": "1.00", "eng": "1.00", "eng.web": "0.50"}
    assert weights(marts, 2) == {"all": "1.00", "eng": "1.00", "eng.web": "1.00"}
    assert weights(marts, 3) == {"all": "1.00", "eng": "1.00"}
    assert weights(marts, 4) == {}


def test_weights_above_one_are_cut_to_one() -> None:
    both = work_out([pr(1, "ada", "01-05", "01-06")], ADA, ADA | {"id": "web"})
    assert weights(both, 1) == {"all": "1.00"}


@pytest.mark.parametrize(
    ("merged", "expected"),
    [
        ("01-04T23:59:59", {"all": "1.00"}),
        ("01-05", {"all": "1.00", "eng": "1.00"}),
        ("01-11T23:59:59", {"all": "1.00", "eng": "1.00"}),
        ("01-12", {"all": "1.00", "ops": "1.00"}),
    ],
)
def test_windows_in_groups_are_half_open(merged: str, expected: dict[str, str]) -> None:
    windows = [
        {"path": "Eng", "joined_at": "2026-01-05", "left_at": "2026-01-12"},
        {"path": "Ops", "joined_at": "2026-01-12"},
    ]
    marts = work_out([pr(1, "ada", "01-01", merged)], ADA | {"groups": windows})
    assert weights(marts, 1) == expected


def test_rows_of_a_group_span_its_members_time_in_it() -> None:
    window = {"path": "Eng", "joined_at": "2026-01-06", "left_at": "2026-01-13"}
    marts = work_out([pr(1, "ada", "01-05", "01-08")], ADA | {"groups": [window]})
    assert merged_by_period(marts.group_velocity, "eng") == {"2026-01-05": 1, "2026-01-12": 0}


def test_a_group_of_one_team_has_the_rows_of_that_team() -> None:
    marts = work_out(EXAMPLES, CORE, WEB | {"group": "Solo"})
    for rows, of_groups in (
        (marts.velocity, marts.group_velocity),
        (marts.lead_time, marts.group_lead_time),
    ):
        of_team = {key[1]: row for key, row in rows.items() if key[0] == "web"}
        of_group = {key[1]: row for key, row in of_groups.items() if key[0] == "solo"}
        assert [list(row.values())[1:] for row in of_group.values()] == [
            list(row.values())[1:] for row in of_team.values()
        ]


def test_a_group_whose_teams_have_no_members_has_no_rows() -> None:
    marts = work_out([pr(1, "ada", "01-05", "01-06")], ADA, team("web") | {"group": "Eng"})
    assert {group for group, _ in marts.group_velocity} == {"all"}
