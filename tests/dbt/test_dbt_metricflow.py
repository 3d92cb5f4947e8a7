"""`mf query` returns the same figures as the marts, row by row."""

import csv
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dbt_support import EXAMPLE, ROOT, Row, Warehouse, membership, pull_request, review

from api.app import create_app
from dora.roles import TRANSFORM
from tests.api.api_support import Client, settings_for

VELOCITY = [
    "prs_merged",
    "weighted_prs_merged",
    "avg_cycle_time_hours",
    "weighted_avg_cycle_time_hours",
    "contributors",
]
LEAD_TIME = {"prs_merged": "prs_merged_monthly"} | {
    name: name
    for name in (
        "median_lead_time_hours",
        "p95_lead_time_hours",
        "median_coding_hours",
        "median_draft_hours",
        "median_pickup_hours",
        "median_review_hours",
    )
}

DELIVERY = [
    "deployments",
    "failed_deployments",
    "rework_deployments",
    "change_fail_rate",
    "deployment_rework_rate",
    "changes_deployed",
    "median_change_lead_time_hours",
]


RELEASED = {"repository": "acme/lib", "repository_id": "R_acme/lib", "base_ref": "release"} | {
    "labels": ["bug", "ui"]
}
# A filter of the API, and the same for MetricFlow.
FILTERS = [
    ("repository=acme/lib", "{{ Dimension('pull_request__repository') }} = 'acme/lib'"),
    ("base=release", "{{ Dimension('pull_request__base_ref') }} = 'release'"),
    ("label=bug", "{{ Dimension('pull_request__labels') }} @> '[\"bug\"]'"),
]


@pytest.fixture(scope="module")
def project(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dbt project, built and parsed in the folder in which `mf` looks for the manifest."""
    project = tmp_path_factory.mktemp("mf") / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    warehouse.insert(**EXAMPLE)
    warehouse.insert(
        team_memberships=[
            membership("web", "cleo", "0.3", "2026-01-01T00:00Z"),
            membership("web", "dan", "0.0", "2026-01-01T00:00Z"),
        ],
        pull_requests=[
            pull_request(10, "cleo", "2026-01-06T01:00Z", "2026-01-08T04:20Z"),
            pull_request(11, "dan", "2026-01-20T01:00Z", "2026-01-20T02:00Z"),
            pull_request(12, "cleo", "2026-02-02T01:00Z", "2026-02-11T04:20Z", **RELEASED),
            pull_request(13, "bob", "2026-02-02T01:00Z", "2026-02-11T19:40Z", **RELEASED),
            pull_request(15, "bob", "2026-01-06T01:00Z", "2026-01-07T19:40Z", **RELEASED),
            pull_request(14, "bob", "2026-02-03T01:00Z"),
        ],
        pull_request_reviews=[review(10, "bob", "2026-01-07T00:00Z")],
    )
    warehouse.build("--write-json")
    shutil.copy(warehouse.target / "semantic_manifest.json", _made(project / "target"))
    return project


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def query(
    warehouse: Warehouse, project: Path, metrics: list[str], *group_by: str, where: str = ""
) -> list[Row]:
    """The rows of `mf query`, each a dictionary of texts; the empty text is null."""
    answer = project / "answer.csv"
    command = ["query", "--metrics", ",".join(metrics), "--group-by", ",".join(group_by)]
    command += ["--where", where] if where else []
    done = subprocess.run(
        [str(Path(sys.executable).parent / "mf"), *command, "--csv", str(answer)],
        cwd=project,
        env=os.environ
        | warehouse.database.environment(TRANSFORM)
        | {"DBT_PROFILES_DIR": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with answer.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_same(row: Row, name: str, expected: Any) -> None:
    given = float(row[name]) if row[name] else None
    if expected is None or given is None:
        assert given is expected, (name, row)
    else:
        assert math.isclose(given, expected, rel_tol=1e-12), (name, row)


def test_weekly_metrics_equal_the_mart(warehouse: Warehouse, project: Path) -> None:
    rows = query(
        warehouse, project, VELOCITY, "team", "metric_time__week", "team_period__is_complete"
    )
    given = {(row["team"], row["metric_time__week"][:10]): row for row in rows}
    expected = warehouse.rows("select * from marts.fct_team_velocity_weekly")
    assert len(rows) == len(expected) > 8
    assert any(row["prs_merged"] == 0 for row in expected)
    for mart in expected:
        row = given[mart["team_id"], mart["week"].isoformat()]
        assert row["team_period__is_complete"] == str(mart["is_complete"])
        for name in VELOCITY:
            assert_same(row, name, mart[name])


def test_monthly_metrics_equal_the_mart(warehouse: Warehouse, project: Path) -> None:
    rows = query(warehouse, project, list(LEAD_TIME.values()), "team", "metric_time__month")
    given = {(row["team"], row["metric_time__month"][:10]): row for row in rows}
    expected = warehouse.rows("select * from marts.fct_team_lead_time_monthly")
    assert len(rows) == len(expected) >= 3
    for mart in expected:
        row = given[mart["team_id"], mart["month"].isoformat()]
        for name, metric in LEAD_TIME.items():
            assert_same(row, metric, mart[name])


@pytest.mark.parametrize(("unit", "mart"), [("week", "weekly"), ("month", "monthly")])
def test_delivery_metrics_equal_the_mart(
    warehouse: Warehouse, project: Path, unit: str, mart: str
) -> None:
    """MetricFlow has no row for a period without deployments."""
    rows = query(warehouse, project, DELIVERY, "team", f"metric_time__{unit}")
    given = {(row["team"], row[f"metric_time__{unit}"][:10]): row for row in rows}
    found = warehouse.rows(f"select * from marts.fct_team_delivery_{mart}")  # type: ignore[arg-type]
    expected = [row for row in found if row["deployments"]]
    assert len(rows) == len(expected) > 1
    for row in expected:
        for name in DELIVERY:
            assert_same(given[row["team_id"], row[unit].isoformat()], name, row[name])


@pytest.mark.parametrize(("asked", "where"), FILTERS, ids=[asked for asked, _ in FILTERS])
def test_filtered_metrics_equal_the_api(
    warehouse: Warehouse, project: Path, asked: str, where: str
) -> None:
    """MetricFlow has no row for a period without a matching merge; the API has a row of 0."""
    app = create_app(settings_for(warehouse.database.url))
    client = Client(app)
    for figure, unit, metrics in (
        ("velocity", "week", dict(zip(VELOCITY, VELOCITY, strict=True))),
        ("lead-time", "month", LEAD_TIME),
    ):
        rows = query(
            warehouse, project, list(metrics.values()), "team", f"metric_time__{unit}", where=where
        )
        given = {row[f"metric_time__{unit}"][:10]: row for row in rows if row["team"] == "web"}
        answer = client.get(f"/metrics/team/web/{figure}?{asked}").json()["data"]
        merged = [row for row in answer if row["prs_merged"]]
        assert {row[unit] for row in merged} == given.keys()
        assert 1 < len(merged) < len(answer) or figure == "lead-time"
        for row in merged:
            for name, metric in metrics.items():
                assert_same(given[row[unit]], metric, row[name])
    app.state.marts.close()
