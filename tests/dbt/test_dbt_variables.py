"""A change of a variable moves what it should, and nothing else."""

from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

import pytest
from dbt_common.exceptions import DbtBaseException
from dbt_support import EXAMPLE, Warehouse, pull_request

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)
WEEK_2, WEEK_3 = date(2026, 1, 5), date(2026, 1, 12)

QUERIES: dict[str, LiteralString] = {
    "velocity": "select team_id, week, * from marts.fct_team_velocity_weekly",
    "lead_time": "select team_id, month, * from marts.fct_team_lead_time_monthly",
    "shares": """
        select team_id, pull_request_id, weight, attributed_at from marts.fct_team_pull_requests
    """,
    "pull_requests": "select repository, number, * from marts.fct_pull_requests",
}
Marts = dict[str, dict[tuple[Any, Any], tuple[Any, ...]]]


@pytest.fixture(scope="module")
def variants(warehouse: Warehouse) -> dict[str, Marts]:
    """The marts' rows by their keys, under each setting."""
    warehouse.insert(**EXAMPLE)
    warehouse.insert(
        pull_requests=[
            pull_request(10, "bob", "2026-01-11T13:30Z", "2026-01-11T23:30Z"),
            pull_request(11, "bob", "2026-01-31T21:30Z", "2026-01-31T23:30Z"),
        ]
    )
    settings = {
        "default": "{}",
        "berlin": "{reporting_timezone: Europe/Berlin}",
        "created": "{attribution_instant: created_at}",
    }
    read = {}
    for name, variables in settings.items():
        statuses = warehouse.dbt("run", "--vars", variables)
        assert set(statuses.values()) == {"success"}
        read[name] = {
            mart: {tuple(row.values())[:2]: tuple(row.values()) for row in warehouse.rows(query)}
            for mart, query in QUERIES.items()
        }
    return read


def moved(variants: dict[str, Marts], name: str, mart: str) -> set[tuple[Any, Any]]:
    """Keys of the rows that are not what they are by default."""
    default, other = variants["default"][mart], variants[name][mart]
    return {key for key in default.keys() | other.keys() if default.get(key) != other.get(key)}


def test_a_timezone_moves_the_merges_at_the_edges(variants: dict[str, Marts]) -> None:
    """PR 10 is merged half an hour into Berlin's Monday, PR 11 into Berlin's February."""
    assert moved(variants, "berlin", "velocity") == {("web", WEEK_2), ("web", WEEK_3)}
    assert moved(variants, "berlin", "lead_time") == {("web", JANUARY), ("web", FEBRUARY)}
    assert ("web", FEBRUARY) not in variants["default"]["lead_time"]


def test_a_timezone_moves_nobodys_work(variants: dict[str, Marts]) -> None:
    assert moved(variants, "berlin", "pull_requests") == set()
    assert moved(variants, "berlin", "shares") == set()


def test_the_attribution_instant_moves_whose_it_was(variants: dict[str, Marts]) -> None:
    """PR 3 was opened in the old windows and merged in the new one; it keeps its week."""
    shares = variants["created"]["shares"]
    weights = {key[0]: share[2] for key, share in shares.items() if key[1] == "PR_3"}
    assert weights == {"core": Decimal("0.5"), "web": Decimal("0.5")}
    assert moved(variants, "created", "velocity") == {("core", WEEK_3), ("web", WEEK_3)}
    # Core's month had both of Ada's before, of 24 hours each.
    assert moved(variants, "created", "lead_time") == {("web", JANUARY)}


def test_an_unknown_attribution_instant_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(DbtBaseException, match="is 'closed_at'; use 'merged_at' or 'created_at'"):
        warehouse.dbt("parse", "--vars", "{attribution_instant: closed_at}")
