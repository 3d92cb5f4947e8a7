"""Random worlds of deployments, and the made-up organisation.

Each row of the marts equals the result of the plain Python reference for docs/delivery.md.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dbt_support import Row, Warehouse
from delivery_organisation import world_of
from delivery_rows import renamed, rows_of, together

from dora.database import Database
from tests.demo_marts import organisation_on_github
from tests.reference import compare, keyed
from tests.reference.delivery import Delivery, World, delivery
from tests.reference.delivery_worlds import random_world

WORLDS, STEPS = 8, 120
GROUPS: list[Row] = [
    {"group": "Eng/Web"},
    {"group": "Eng"},
    {"groups": [{"path": "Ops", "left_at": "2026-01-19"}]},
    {},
]
VARIANTS: list[dict[str, Any]] = [
    {},
    {
        "reporting_timezone": "Europe/Berlin",
        "attribution_instant": "created_at",
        "failure_window_days": 1,
        "failure_causes": ["rollback", "status"],
    },
]


def random_worlds(seed: int) -> World:
    world = together(
        [renamed(random_world(seed * 1000 + n, STEPS), f"w{n}") for n in range(WORLDS)]
    )
    teams = tuple(team | GROUPS[n % len(GROUPS)] for n, team in enumerate(world.teams))
    return replace(world, teams=teams)


def differences(warehouse: Warehouse, expected: Delivery) -> list[str]:
    """List the differences between the marts and the expected rows, by mart."""
    deployments = warehouse.rows("select * from marts.fct_deployments")
    places = {str(row["deployment_id"]): row for row in deployments}
    for row in deployments:
        row["deployment_id"] = plain_id(row)
        row["failure_causes"] = tuple(row["failure_causes"])
    shares = warehouse.rows("select * from marts.fct_team_deployments")
    for row in shares:
        place = places[str(row["deployment_id"])]
        row |= {name: place[name] for name in ("repository", "target", "deployment_id")}
    changes = warehouse.rows("select * from marts.fct_pull_requests")
    for row in changes:
        place = places.get(str(row["deployment_id"]), {})
        row["deployment_id"] = place.get("deployment_id")
    incidents = warehouse.rows("select * from marts.fct_incidents")
    for row in incidents:
        place = places.get(str(row["deployment_id"]), {})
        row |= {name: place.get(name) for name in ("repository", "target", "deployment_id")}
        row["linked_by"] = row["link"]
        row["incident_id"] = str(row["incident_id"]).removeprefix(f"{row['source']} ")
    group_shares = warehouse.rows("select * from marts.fct_group_deployments")
    for row in group_shares:
        place = places[str(row["deployment_id"])]
        row |= {name: place[name] for name in ("repository", "target", "deployment_id")}
    weekly = warehouse.rows("select * from marts.fct_team_delivery_weekly")
    monthly = warehouse.rows("select * from marts.fct_team_delivery_monthly")
    group_weekly = warehouse.rows("select * from marts.fct_group_delivery_weekly")
    group_monthly = warehouse.rows("select * from marts.fct_group_delivery_monthly")
    key = ("repository", "target", "deployment_id")
    found = {
        "fct_deployments": compare(without(expected.deployments, "url"), keyed(deployments, *key)),
        "fct_team_deployments": compare(
            {k: {"share": float(row["share"])} for k, row in expected.team_deployments.items()},
            keyed(shares, "team_id", *key),
        ),
        "fct_group_deployments": compare(
            {k: {"share": float(row["share"])} for k, row in expected.group_deployments.items()},
            keyed(group_shares, "group_id", *key),
        ),
        "fct_pull_requests": compare(
            expected.pull_requests, keyed(changes, "repository", "number")
        ),
        "fct_incidents": compare(expected.incidents, keyed(incidents, "source", "incident_id")),
        "weekly": compare(without(expected.weekly), keyed(weekly, "team_id", "week")),
        "monthly": compare(without(expected.monthly), keyed(monthly, "team_id", "month")),
        "group_weekly": compare(
            without(expected.group_weekly), keyed(group_weekly, "group_id", "week")
        ),
        "group_monthly": compare(
            without(expected.group_monthly), keyed(group_monthly, "group_id", "month")
        ),
    }
    return [f"{mart}: {line}" for mart, lines in found.items() for line in lines]


def plain_id(row: Row) -> str:
    suffix = "" if row["target"] == row["repository"] else f" {row['target']}"
    return str(row["deployment_id"]).removesuffix(suffix)


def without(rows: Mapping[Any, Row], *names: str) -> dict[Any, Row]:
    left_out = {"measured_from", *names}
    return {key: {n: v for n, v in row.items() if n not in left_out} for key, row in rows.items()}


@pytest.mark.parametrize("seed", [2, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 3))])
def test_every_figure_of_random_worlds_is_right(own_warehouse: Warehouse, seed: int) -> None:
    """The files of pull requests are loaded after a first build, as after a new rule."""
    world = random_worlds(seed)
    rows = rows_of(world)
    files = rows.pop("pull_request_files")
    own_warehouse.insert(**rows)
    own_warehouse.build()
    own_warehouse.insert(pull_request_files=files)
    for variables in VARIANTS:
        own_warehouse.build("--vars", json.dumps(variables))
        expected = delivery(world, **variables)
        kinds = {row["kind"] for row in expected.deployments.values()}
        assert kinds == {"first", "deploy", "redeploy", "rollback", "overtaken"}
        assert differences(own_warehouse, expected) == []


def test_every_figure_of_the_made_up_organisation_is_right(demo: Database, target: Path) -> None:
    expected = delivery(world_of(*organisation_on_github()))
    kinds = {row["kind"] for row in expected.deployments.values()}
    assert kinds == {"first", "deploy", "redeploy", "rollback", "overtaken"}
    causes = {cause for row in expected.deployments.values() for cause in row["failure_causes"]}
    assert causes == {"incident", "rollback", "revert", "hotfix", "status"}
    assert differences(Warehouse(demo, target), expected) == []
