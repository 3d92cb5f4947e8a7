"""Each row of fct_team_trends equals the plain Python reference for docs/trends.md.

The reference starts from the other marts, whose figures have separate tests.
"""

import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, LiteralString

import pytest
from dbt_support import Row, Warehouse, membership, pull_request, repository

from dora.database import Database
from tests.reference import compare, keyed
from tests.reference.trends import COUNT, HOURS, RATE, Metric, Weeks, probability_higher, verdict

WEEK = timedelta(7)
WEEKS_BACK = {"quarter_before": 13, "year_before": 52}
METRICS: dict[str, Metric] = {
    "merged_per_week": COUNT,
    "lead_time_hours": HOURS,
    "deployments_per_week": COUNT,
    "change_lead_time_hours": HOURS,
    "change_fail_rate": RATE,
}
PHASES = ("coding", "draft", "pickup", "review", "deploy")
MERGED: LiteralString = """
select of_team.team_id, of_team.week, pulls.*
from marts.fct_team_pull_requests as of_team
inner join marts.fct_pull_requests as pulls using (pull_request_id)
where pulls.merged_at is not null and of_team.team_id <> 'unassigned'
"""
Values = dict[tuple[str, str], dict[date, list[float]]]
Phases = dict[tuple[str, str, str], dict[date, list[float]]]


def monday(day: date) -> date:
    return day - timedelta(day.weekday())


def observed(warehouse: Warehouse) -> tuple[Values, Phases]:
    """The values of each team, metric and week, and the hours of each phase."""
    values: Values = defaultdict(lambda: defaultdict(list))
    phases: Phases = defaultdict(lambda: defaultdict(list))
    complete, measured = set(), set()
    for row in warehouse.rows("select * from marts.fct_team_velocity_weekly where is_complete"):
        complete.add((row["team_id"], row["week"]))
        key = row["team_id"], "merged_per_week"
        values[key][row["week"]].append(float(row["weighted_prs_merged"]))
    for row in warehouse.rows("select * from marts.fct_team_delivery_weekly where is_complete"):
        number, failed, team = row["deployments"], row["failed_deployments"], row["team_id"]
        if number is None:
            continue
        measured.add((team, row["week"]))
        values[team, "deployments_per_week"][row["week"]].append(number)
        if row["is_settled"] and number:
            of_week = [1.0] * failed + [0.0] * (number - failed)
            values[team, "change_fail_rate"][row["week"]] += of_week
    for row in warehouse.rows(MERGED):
        team, week = row["team_id"], row["week"]
        if (team, week) in complete:
            values[team, "lead_time_hours"][week].append(row["cycle_time_hours"])
            for name in ("draft", "pickup", "review"):
                phases[team, "lead_time_hours", name][week].append(row[f"{name}_hours"])
        deployed = row["deployed_at"]
        week = deployed and monday(deployed.astimezone(UTC).date())
        if (team, week) in measured:
            values[team, "change_lead_time_hours"][week].append(row["change_lead_time_hours"])
            if deployed >= row["merged_at"]:
                for name in PHASES:
                    key3 = team, "change_lead_time_hours", name
                    phases[key3][week].append(row[f"{name}_hours"])
    return values, phases


def span(weeks: dict[date, list[float]], first: date) -> Weeks:
    return [weeks.get(first + n * WEEK, []) for n in range(13)]


def middle(weeks: Weeks) -> float | None:
    flat = [value for week in weeks for value in week]
    return median(flat) if flat else None


def expected(warehouse: Warehouse) -> dict[tuple[str, str, str], Row]:
    (build,) = warehouse.rows("select as_of from marts.dim_build")
    now = monday(build["as_of"].astimezone(UTC).date()) - 13 * WEEK
    values, phases = observed(warehouse)
    rows: dict[tuple[str, str, str], Row] = {}
    for team in warehouse.rows("select team_id from marts.dim_teams"):
        for name, metric in METRICS.items():
            for compared_with, back in WEEKS_BACK.items():
                weeks = values[team["team_id"], name]
                spans = span(weeks, now), span(weeks, now - back * WEEK)
                row = compared(*spans, metric) | {
                    "first_week": now,
                    "earlier_first_week": now - back * WEEK,
                    **NO_PHASE,
                }
                if row["verdict"] in {"better", "worse"} and name.endswith("_hours"):
                    hours = {
                        one: tuple(
                            middle(span(phases[team["team_id"], name, one], first))
                            for first in (now, now - back * WEEK)
                        )
                        for one in PHASES
                    }
                    row |= main_phase(hours, row["current_value"] - row["earlier_value"])
                rows[team["team_id"], name, compared_with] = row
    return rows


NO_PHASE: Row = {"phase": None, "phase_hours": None, "earlier_phase_hours": None}


def compared(now: Weeks, earlier: Weeks, metric: Metric) -> Row:
    flat, before = ([value for week in weeks for value in week] for weeks in (now, earlier))
    return {
        "verdict": verdict(now, earlier, metric),
        "current_value": metric.typical(flat) if flat else None,
        "earlier_value": metric.typical(before) if before else None,
        "sample_size": len(flat),
        "earlier_sample_size": len(before),
        "probability_higher": probability_higher(now, earlier) if flat and before else None,
    }


def main_phase(hours: dict[str, Any], change: float) -> Row:
    """The phase whose median changed most in the direction of `change`."""
    moved = {
        name: (now - before) * (1 if change > 0 else -1)
        for name, (now, before) in hours.items()
        if now is not None and before is not None
    }
    if not moved or max(moved.values()) <= 0:
        return NO_PHASE
    name = min(moved, key=lambda one: (-moved[one], one))
    now, before = hours[name]
    return {"phase": name, "phase_hours": now, "earlier_phase_hours": before}


def assert_right(warehouse: Warehouse) -> Counter[str]:
    """Compare every row; return how often each verdict occurs."""
    rows = warehouse.rows("select * from marts.fct_team_trends")
    found = keyed(rows, "team_id", "metric", "compared_with")
    assert list(compare(expected(warehouse), found)) == []
    return Counter(row["verdict"] for row in rows)


def test_every_trend_of_the_made_up_organisation_is_right(demo: Database, target: Path) -> None:
    assert assert_right(Warehouse(demo, target)).keys() >= {"as_usual", "too_little_data"}


def history(rng: random.Random) -> list[Row]:
    """Pull requests of 12 people over 80 weeks; their times and numbers change at random."""
    begin = datetime(2024, 7, 1, tzinfo=UTC)
    rows: list[Row] = []
    for person in range(12):
        shift, change = rng.uniform(0, 2), rng.choice([0.5, 0.8, 1, 1.2, 1.5, 2.5])
        for week in range(80):
            late = week >= 67
            for _ in range(rng.randrange(0, 5 if late and change > 1 else 4)):
                merged = begin + week * WEEK + timedelta(hours=rng.uniform(0, 168))
                hours = round(24 * shift * rng.lognormvariate(0, 0.7) * (change if late else 1))
                rows.append(
                    pull_request(
                        len(rows),
                        f"p{person}",
                        (merged - timedelta(hours=hours)).isoformat(),
                        merged.isoformat(),
                    )
                )
    return rows


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 3))])
def test_every_trend_of_random_teams_is_right(own_warehouse: Warehouse, seed: int) -> None:
    rng = random.Random(seed)
    teams = [f"t{n}" for n in range(6)]
    own_warehouse.insert(
        repositories=[repository()],
        teams=[{"team_id": team, "name": team} for team in teams],
        team_memberships=[
            membership(
                teams[(person + shift) % 6],
                f"p{person}",
                rng.choice(["0.25", "0.5"]),
                f"2024-0{rng.randrange(7, 10)}-01T00:00Z",
            )
            for person in range(12)
            for shift in (0, 1)
        ],
        pull_requests=history(rng),
    )
    own_warehouse.build()
    assert set(assert_right(own_warehouse)) == {"better", "worse", "as_usual", "too_little_data"}
