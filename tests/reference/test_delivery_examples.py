"""The reference computes the worked examples of docs/delivery.md."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import pytest

from tests.reference import compare
from tests.reference.delivery import delivery
from tests.reference.delivery_examples import (
    EXAMPLES,
    WEEK,
    Example,
    failed_waited_inactive,
)

by_name = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


def named(rows: Iterable[Mapping[str, Any]], column: str) -> dict[str, Mapping[str, Any]]:
    return {row[column]: row for row in rows}


@by_name
def test_worked_example_has_its_figures(example: Example) -> None:
    done = delivery(example.world)
    week = {team: done.weekly[team, date.fromisoformat(WEEK)] for team in example.week}
    assert list(compare(example.week, week)) == []


@by_name
def test_worked_example_has_its_deployments(example: Example) -> None:
    rows = named(delivery(example.world).deployments.values(), "deployment_id")
    expected = example.deployments
    assert list(compare(expected, {name: rows[name] for name in expected})) == []


def test_deployment_that_never_succeeded_has_no_row() -> None:
    rows = delivery(failed_waited_inactive().world).deployments
    assert [deployment for _, _, deployment in rows] == ["B", "D2"]


@by_name
def test_worked_example_has_its_shares(example: Example) -> None:
    shares = delivery(example.world).team_deployments.values()
    found = {(row["team_id"], row["deployment_id"]): float(row["share"]) for row in shares}
    assert {key: found[key] for key in example.shares} == pytest.approx(example.shares)


@by_name
def test_worked_example_has_its_pull_requests(example: Example) -> None:
    done = delivery(example.world)
    ids = {one.key: one.id for one in example.world.pull_requests}
    rows = {ids[key]: row for key, row in done.pull_requests.items()}
    expected = example.pull_requests
    assert list(compare(expected, {name: rows[name] for name in expected})) == []


@by_name
def test_worked_example_has_its_incidents_and_no_others(example: Example) -> None:
    rows = named(delivery(example.world).incidents.values(), "incident_id")
    assert list(compare(example.incidents, rows)) == []


def test_shares_including_people_in_no_team_add_up_to_one() -> None:
    shares = delivery(EXAMPLES[0].world).team_deployments.values()
    assert 1 - sum(row["share"] for row in shares) == pytest.approx(1 / 3)
