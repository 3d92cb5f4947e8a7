"""The API matches the contracts of the marts that it reads."""

import functools
import json
import types
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from api.routes.compare import Comparison
from api.routes.delivery import Delivery, DeliveryMonth, DeliveryWeek
from api.routes.deployments import DeployedChange, TeamDeployments
from api.routes.groups import Groups
from api.routes.lead_time import LeadTime, LeadTimeMonth
from api.routes.open_pull_requests import OpenPullRequest, OpenPullRequests
from api.routes.pull_requests import MergedPullRequest, PullRequests
from api.routes.reviews import Reviews
from api.routes.teams import Teams
from api.routes.trends import Trends
from api.routes.velocity import Velocity, VelocityWeek

CONTRACTS = Path(__file__).parents[2] / "dbt_project/models/marts"
PYTHON = {
    "text": str,
    "date": date,
    "bigint": int,
    "boolean": bool,
    "numeric": float,
    "double precision": float,
    "timestamp with time zone": datetime,
}
KEYS = {"team_id", "pull_request_id"}
# Null in the marts for unmerged pull requests; the API returns only merged ones.
NULL_UNLESS_MERGED = {"merged_at", "cycle_time_hours", "total_hours"}
NULL_UNLESS_MERGED |= {"coding_hours", "draft_hours", "pickup_hours", "review_hours"}


@functools.cache
def contracts() -> dict[str, Any]:
    files = [yaml.safe_load(file.read_text()) for file in CONTRACTS.glob("*__models.yml")]
    return {each["name"]: each for file in files for each in file["models"]}


def contract(*marts: str) -> dict[str, dict[str, Any]]:
    """Return the columns of some marts by name."""
    return {column["name"]: column for mart in marts for column in contracts()[mart]["columns"]}


def may_be_null(column: dict[str, Any]) -> bool:
    rules = column.get("constraints", [])
    return not {"not_null", "primary_key"} & {rule["type"] for rule in rules}


@pytest.mark.parametrize(
    ("model", "marts"),
    [
        (VelocityWeek, ["fct_team_velocity_weekly"]),
        (LeadTimeMonth, ["fct_team_lead_time_monthly"]),
        (DeliveryWeek, ["fct_team_delivery_weekly"]),
        (DeliveryMonth, ["fct_team_delivery_monthly"]),
    ],
)
def test_rollup_response_has_every_column_of_its_mart(model, marts):
    assert list(model.model_fields) == [name for name in contract(*marts) if name not in KEYS]


@pytest.mark.parametrize(
    ("model", "marts"),
    [
        (VelocityWeek, ["fct_team_velocity_weekly"]),
        (LeadTimeMonth, ["fct_team_lead_time_monthly"]),
        (DeliveryWeek, ["fct_team_delivery_weekly"]),
        (DeliveryMonth, ["fct_team_delivery_monthly"]),
        (MergedPullRequest, ["fct_pull_requests", "fct_team_pull_requests"]),
        (
            OpenPullRequest,
            ["fct_pull_requests", "fct_team_pull_requests", "fct_open_pull_requests"],
        ),
        (DeployedChange, ["fct_pull_requests", "fct_team_pull_requests"]),
    ],
)
def test_types_and_nullability_match_the_mart(model: type[BaseModel], marts: list[str]):
    columns = contract(*marts)
    for name, field in model.model_fields.items():
        kind = field.annotation
        options = set(get_args(kind)) if isinstance(kind, types.UnionType) else {kind}
        assert PYTHON[columns[name]["data_type"].split("(")[0]] in options, name
        if name not in NULL_UNLESS_MERGED:
            assert (types.NoneType in options) == may_be_null(columns[name]), name


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/teams", Teams),
        ("/groups", Groups),
        ("/metrics/team/all/velocity", Velocity),
        ("/metrics/team/all/deployments", TeamDeployments),
        ("/metrics/team/all/pull-requests", PullRequests),
        ("/metrics/team/web/velocity", Velocity),
        ("/metrics/team/web/lead-time", LeadTime),
        ("/metrics/team/web/delivery", Delivery),
        ("/metrics/team/web/delivery?unit=month", Delivery),
        ("/metrics/team/web/deployments", TeamDeployments),
        ("/metrics/team/web/deployments?limit=1", TeamDeployments),
        ("/metrics/team/web/pull-requests", PullRequests),
        ("/metrics/team/web/pull-requests?limit=1", PullRequests),
        ("/metrics/team/web/pull-requests?state=open", OpenPullRequests),
        ("/metrics/team/web/pull-requests?state=open&limit=1", OpenPullRequests),
        ("/metrics/team/web/reviews", Reviews),
        ("/metrics/compare?team=web&team=core", Comparison),
        ("/metrics/compare?team=web&team=core&figures=delivery", Comparison),
        ("/metrics/trends", Trends),
    ],
)
def test_response_matches_its_model_exactly(client, path: str, model: type[BaseModel]):
    """Postgres builds the JSON of the rows, and the API does not validate it."""
    answer = client.get(path)
    assert answer.json()["data"]
    read = model.model_validate_json(answer.content)
    assert json.loads(read.model_dump_json(exclude_unset=True)) == answer.json()


def test_hand_made_marts_match_the_contracts(marts):
    rows = marts.owner.execute(
        "select attrelid::regclass::text, attname, format_type(atttypid, atttypmod)"
        " from pg_attribute where attnum > 0 and attrelid in"
        " (select oid from pg_class where relnamespace = 'marts'::regnamespace and relkind = 'r')"
    ).fetchall()
    assert rows
    for table, column, kind in rows:
        assert contract(table.removeprefix("marts."))[column]["data_type"] == kind, (table, column)
