"""A change of a setting moves only the rows that it should."""

from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

import pytest
from dbt_common.exceptions import DbtBaseException
from dbt_support import EXAMPLE, Row, Warehouse, pull_request, repository

JANUARY, FEBRUARY, MARCH, APRIL = (date(2026, month, 1) for month in range(1, 5))
WEEK_2, WEEK_3, WEEK_4 = date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 19)
# Berlin has summer time from 2026-03-29T01:00Z to 2026-10-25T01:00Z; both days are Sundays.
AT_THE_EDGES: list[Row] = [
    pull_request(10, "bob", "2026-01-11T13:30Z", "2026-01-11T23:30Z"),
    pull_request(11, "bob", "2026-01-31T21:30Z", "2026-01-31T23:30Z"),
    pull_request(20, "bob", "2026-03-22T20:00Z", "2026-03-22T22:30Z"),
    pull_request(21, "bob", "2026-03-29T20:00Z", "2026-03-29T22:30Z"),
    pull_request(22, "bob", "2026-03-31T20:00Z", "2026-03-31T22:30Z"),
    pull_request(23, "bob", "2026-10-18T20:00Z", "2026-10-18T22:30Z"),
    pull_request(24, "bob", "2026-10-25T20:00Z", "2026-10-25T22:30Z"),
    pull_request(25, "bob", "2026-10-31T20:00Z", "2026-10-31T22:30Z"),
]
# Ada's windows change on 12 January; she is in no team before 1 January.
ACROSS_WINDOWS: list[Row] = [
    pull_request(30, "ada", "2025-12-31T00:00Z", "2026-01-05T00:00Z"),
    pull_request(31, "ada", "2026-01-11T00:00Z", state="CLOSED", closed_at="2026-01-13T00:00Z"),
    pull_request(32, "ada", "2026-01-11T00:00Z"),
]

QUERIES: dict[str, LiteralString] = {
    "velocity": "select team_id, week, * from marts.fct_team_velocity_weekly",
    "lead_time": "select team_id, month, * from marts.fct_team_lead_time_monthly",
    "shares": """
        select team_id, pull_request_id, weight, week, month from marts.fct_team_pull_requests
    """,
    "pull_requests": "select repository, number, * from marts.fct_pull_requests",
}
Marts = dict[str, dict[tuple[Any, Any], tuple[Any, ...]]]


@pytest.fixture(scope="module")
def variants(warehouse: Warehouse) -> dict[str, Marts]:
    """The marts' rows by their keys, under each setting."""
    covered = repository(covered_from="2026-01-05T00:00Z", covered_to="2026-01-18T23:30Z")
    warehouse.insert(**EXAMPLE | {"repositories": [covered]})
    warehouse.insert(pull_requests=AT_THE_EDGES + ACROSS_WINDOWS)
    # One setting changes at a time, so each change must be detected separately.
    settings = {
        "created": "{attribution_instant: created_at}",
        "default": "{attribution_instant: merged_at}",
        "berlin": "{reporting_timezone: Europe/Berlin}",
    }
    read = {}
    for name, variables in settings.items():
        warehouse.build("--vars", variables)
        read[name] = {
            mart: {tuple(row.values())[:2]: tuple(row.values()) for row in warehouse.rows(query)}
            for mart, query in QUERIES.items()
        }
    return read


def moved(variants: dict[str, Marts], name: str, mart: str) -> set[tuple[Any, Any]]:
    """Keys of the rows that differ from the default."""
    default, other = variants["default"][mart], variants[name][mart]
    return {key for key in default.keys() | other.keys() if default.get(key) != other.get(key)}


def periods(variants: dict[str, Marts], name: str) -> dict[str, tuple[date, date]]:
    """The week and month of each pull request that belongs to a team."""
    shares = variants[name]["shares"]
    return {key[1]: share[-2:] for key, share in shares.items() if key[0] != "unassigned"}


def test_a_timezone_moves_the_merges_at_the_edges(variants: dict[str, Marts]) -> None:
    """Berlin is one hour ahead of UTC in winter and two in summer."""
    default, berlin = periods(variants, "default"), periods(variants, "berlin")
    assert {key: berlin[key] for key in default if default[key] != berlin[key]} == {
        "PR_10": (WEEK_3, JANUARY),
        "PR_11": (date(2026, 1, 26), FEBRUARY),
        "PR_21": (date(2026, 3, 30), MARCH),
        "PR_22": (date(2026, 3, 30), APRIL),
        "PR_23": (date(2026, 10, 19), date(2026, 10, 1)),
    }


def test_a_timezone_moves_their_figures_and_complete_periods(variants: dict[str, Marts]) -> None:
    assert moved(variants, "berlin", "velocity") == {
        *(("web", week) for week in (WEEK_2, WEEK_3)),
        *(("web", date(2026, 3, day)) for day in (23, 30)),
        *(("web", date(2026, 10, day)) for day in (12, 19)),
        *(("core", week) for week in (WEEK_2, WEEK_3, WEEK_4)),
    }
    months = {("web", month) for month in (JANUARY, FEBRUARY, MARCH, APRIL)}
    assert moved(variants, "berlin", "lead_time") == months
    # In Berlin the first week begins before the loaded history, and the second ends before as_of.
    assert [variants["default"]["velocity"]["core", week][-1] for week in (WEEK_2, WEEK_3)] == [
        True,
        False,
    ]
    assert [variants["berlin"]["velocity"]["core", week][-1] for week in (WEEK_2, WEEK_3)] == [
        False,
        True,
    ]
    # `as_of` is in the next week in Berlin; in UTC that week has not begun.
    assert ("core", WEEK_4) not in variants["default"]["velocity"]


def test_a_timezone_does_not_change_attribution(variants: dict[str, Marts]) -> None:
    assert moved(variants, "berlin", "pull_requests") == set()
    assert weights(variants, "berlin") == weights(variants, "default")


def weights(variants: dict[str, Marts], name: str) -> dict[tuple[Any, Any], Decimal]:
    return {key: share[2] for key, share in variants[name]["shares"].items()}


def test_attribution_instant_changes_the_teams_of_pull_requests(
    variants: dict[str, Marts],
) -> None:
    """PR 3 was opened in the old windows and merged in the new one; PR 31 was closed there.

    PR 30 was opened before all windows. PR 32 is open, so both settings use its opening.
    """
    default, created = weights(variants, "default"), weights(variants, "created")
    half, whole = Decimal("0.5"), Decimal(1)
    expected = {
        ("core", "PR_3"): (whole, half),
        ("web", "PR_3"): (None, half),
        ("core", "PR_31"): (whole, half),
        ("web", "PR_31"): (None, half),
        ("core", "PR_30"): (half, None),
        ("web", "PR_30"): (half, None),
        ("unassigned", "PR_30"): (None, whole),
    }
    both = {key: (default.get(key), created.get(key)) for key in default.keys() | created.keys()}
    assert {key: pair for key, pair in both.items() if pair[0] != pair[1]} == expected


def test_attribution_instant_changes_their_figures(variants: dict[str, Marts]) -> None:
    """Each pull request keeps the week of its merge."""
    teams = ("core", "web")
    assert moved(variants, "created", "velocity") == {
        (team, week) for team in teams for week in (WEEK_2, WEEK_3)
    }
    assert moved(variants, "created", "lead_time") == {(team, JANUARY) for team in teams}
    default, created = periods(variants, "default"), periods(variants, "created")
    assert created == {key: found for key, found in default.items() if key != "PR_30"}


def test_an_unknown_attribution_instant_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(DbtBaseException, match="is 'closed_at'; use 'merged_at' or 'created_at'"):
        warehouse.dbt("parse", "--vars", "{attribution_instant: closed_at}")


def test_missing_setting_does_not_rebuild_the_marts_with_the_default(
    variants: dict[str, Marts], warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `variants` the marts use Berlin. The environment and `--vars` count as a choice."""
    build = "select build_id, reporting_timezone from marts.dim_build"
    (before,) = warehouse.rows(build)
    expected = "REPORTING_TIMEZONE is not set, but the marts are built with Europe/Berlin"
    with pytest.raises(DbtBaseException, match=expected):
        warehouse.dbt("run", "--select", "stg_teams__teams")
    monkeypatch.setenv("REPORTING_TIMEZONE", "")
    with pytest.raises(DbtBaseException, match=expected):
        warehouse.dbt("build", "--select", "stg_teams__teams")
    assert warehouse.rows(build) == [before]
    assert set(warehouse.dbt("test", "--select", "stg_teams__teams").values()) == {"pass"}
    monkeypatch.setenv("REPORTING_TIMEZONE", "Asia/Tokyo")
    warehouse.build()
    assert warehouse.rows(build)[0]["reporting_timezone"] == "Asia/Tokyo"
    warehouse.build("--vars", "{reporting_timezone: UTC}")
    assert warehouse.rows(build)[0]["reporting_timezone"] == "UTC"
    # The project parsed with another value works with this one too.
    monkeypatch.setenv("REPORTING_TIMEZONE", "Europe/Berlin")
    warehouse.build()
    (after,) = warehouse.rows(build)
    assert after["reporting_timezone"] == "Europe/Berlin"
