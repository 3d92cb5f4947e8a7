"""The deployment that an incident is linked to, and incidents from GitHub issues."""

from typing import Any

import pytest

from tests.reference.delivery import (
    GitHubDeployment,
    IncidentRule,
    Issue,
    Rule,
    World,
    delivery,
)
from tests.reference.delivery_cases import change, changes, incident, linked, ran, shop
from tests.reference.delivery_examples import SHOP, B, at, deployment, issue, sha, world

D1, D2 = ran("D1", "m1", "2 10:00"), ran("D2", "m2", "2 12:00")


def two(*more: GitHubDeployment, **of: Any) -> World:
    """D1 at 10:00, D2 at 12:00, an incident at 11:00 unless given otherwise."""
    return shop(2, D1, D2, *more, incidents=(incident(of.pop("started", "2 11:00"), **of),))


def test_an_incident_is_linked_to_the_deployment_that_ran_when_it_began() -> None:
    assert linked(two()) == ("D1", "inferred")
    assert linked(two(started="2 12:00")) == ("D2", "inferred")
    assert linked(two(started="2 11:59")) == ("D1", "inferred")


@pytest.mark.parametrize(
    ("names", "how"),
    [
        ({"deployment_id": "D2"}, "deployment"),
        ({"commit_sha": sha("m2")}, "commit"),
        ({"commit_sha": sha("m2")[:8]}, "commit"),
        ({"pull_request": "2"}, "pull_request"),
        ({"pull_request": "#2"}, "pull_request"),
        ({"pull_request": "Acme/Shop#2"}, "pull_request"),
        ({"pull_request": "https://github.com/acme/shop/pull/2"}, "pull_request"),
    ],
)
def test_a_named_deployment_counts_without_a_window(names: dict[str, str], how: str) -> None:
    assert linked(two(started="30 11:00", **names)) == ("D2", how)
    assert linked(two(started="2 11:00", **names)) == ("D2", how)


def test_the_strongest_name_counts() -> None:
    weaker = {"commit_sha": sha("m2"), "pull_request": "#2"}
    assert linked(two(deployment_id="D1", **weaker)) == ("D1", "deployment")
    assert linked(two(commit_sha=sha("m1"), pull_request="#2")) == ("D1", "commit")


def test_a_commit_deployed_twice_means_the_last_before_the_incident() -> None:
    again = (ran("R", "m1", "2 13:00"), ran("D3", "m2", "2 14:00"))
    assert linked(two(*again, started="2 13:30", commit_sha=sha("m2"))) == ("D2", "commit")
    assert linked(two(*again, started="2 14:30", commit_sha=sha("m2"))) == ("D3", "commit")


@pytest.mark.parametrize("name", ["B", "D1'", "R", "L", "unheard of"])
def test_a_named_deployment_that_cannot_fail_is_ignored(name: str) -> None:
    others = (
        ran("D1'", "m1", "2 10:30"),
        deployment("L", "m1", "2 11:30", "2 12:30"),
        ran("R", "m1", "2 13:00"),
    )
    assert linked(two(*others, deployment_id=name)) == ("D1", "inferred")


def test_during_a_redeploy_the_repeated_deployment_is_blamed() -> None:
    again = (ran("D2'", "m2", "2 13:00"), ran("D2''", "m2", "2 14:00"))
    assert linked(two(*again, started="2 15:00")) == ("D2", "inferred")
    assert linked(two(*again, started="9 12:00")) == (None, "outside_window")


def test_during_a_rollback_the_remedied_deployment_is_blamed() -> None:
    assert linked(two(ran("R", "m1", "2 13:00"), started="2 14:00")) == ("D2", "inferred")


def test_during_first_no_deployment_is_blamed() -> None:
    assert linked(two(started="2 09:00")) == (None, "no_deployment_to_blame")
    assert linked(two(started="1 09:00")) == (None, "before_first_deployment")


def test_an_overtaken_deployment_is_never_blamed() -> None:
    late = deployment("L", "m1", "2 11:30", "2 12:30")
    assert linked(two(late, started="2 13:00")) == ("D2", "inferred")


def test_caused_by_change_overrides_the_inference() -> None:
    assert linked(two(started="19 12:00")) == (None, "outside_window")
    assert linked(two(started="19 12:00", caused_by_change=True)) == ("D2", "inferred")
    never = {"caused_by_change": False, "deployment_id": "D2"}
    assert linked(two(**never)) == (None, "not_caused_by_a_change")


def test_without_repository_and_target_nothing_is_inferred() -> None:
    assert linked(two(repository=None)) == (None, "no_target")
    assert linked(two(repository=None, deployment_id="D2")) == ("D2", "deployment")


def test_an_incident_of_an_unmeasured_target_has_that_reason() -> None:
    assert linked(two(repository="acme/docs")) == (None, "not_measured")
    assert linked(two(target="api")) == (None, "not_measured")


SERVICES = tuple(
    Rule(repositories=(SHOP,), target=name, environment=f"^{name}$") for name in ("api", "web")
)


def services(*issues: Issue, **of: Any) -> World:
    """W1 runs from 10:00 in web, A1 from 11:00 in api; both add #1."""
    deployments = (
        deployment("A0", "m0", "1 12:00", "1 12:00", environment="api"),
        deployment("W0", "m0", "1 12:00", "1 12:00", environment="web"),
        deployment("W1", "m1", "2 10:00", "2 10:00", environment="web"),
        deployment("A1", "m1", "2 11:00", "2 11:00", environment="api"),
    )
    incidents = () if issues else (incident("2 12:00", **of),)
    return world(changes(1), deployments, rules=SERVICES, issues=issues, incidents=incidents)


@pytest.mark.parametrize(
    ("of", "found"),
    [
        ({"target": "web"}, "W1"),
        ({"target": "WEB", "repository": None}, "W1"),
        ({"target": "api"}, "A1"),
        ({}, "A1"),
        ({"pull_request": "#1", "target": "web"}, "W1"),
        ({"pull_request": "#1"}, "A1"),
    ],
)
def test_an_incident_of_one_of_several_services(of: dict[str, Any], found: str) -> None:
    assert linked(services(**of))[0] == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("", ("A1", "inferred")),
        ("Service: web", ("W1", "inferred")),
        ("Severity: 1\r\nservice:  Web \r\n", ("W1", "inferred")),
        (f"Service: {SHOP}", ("A1", "inferred")),
        ("Service: acme/docs", (None, "not_measured")),
        ("Service: web\nCaused by: #1", ("W1", "pull_request")),
        (f"Caused by: {SHOP}#1\nService: web", ("W1", "pull_request")),
        (f"Service: web\nCaused by: {sha('m1')}", ("W1", "commit")),
        ("Caused by: W1", ("W1", "deployment")),
        ("Started: 2026-03-02T10:30:00Z", ("W1", "inferred")),
        ("Started: 2026-03-02T12:30:00+02:00", ("W1", "inferred")),
        ("Started: 2026-03-02T10:30:00", ("A1", "inferred")),
        ("Started: this morning", ("A1", "inferred")),
    ],
)
def test_fields_in_the_body_of_an_issue(body: str, found: tuple[str | None, str]) -> None:
    assert linked(services(issue("I1", "2 12:00", None, body=body))) == found


def listed(*issues: Issue, **rule: Any) -> list[str]:
    made = changes(1)
    facts = {"labels": ("incident",)} | rule
    then = world(made, (B,), issues=issues, incident_rule=IncidentRule(**facts))
    return [name for _, name in delivery(then).incidents]


def test_issues_with_the_label_are_incidents_unless_dismissed() -> None:
    issues = (
        issue("I1", "2 10:00", None),
        issue("I2", "2 10:00", None, labels=("bug",)),
        issue("I3", "2 10:00", None, labels=("bug", "Incident")),
        issue("I4", "2 10:00", "2 11:00", state_reason="NOT_PLANNED"),
        issue("I5", "2 10:00", "2 11:00", state_reason="duplicate"),
        issue("I6", "2 10:00", "2 11:00"),
        issue("I7", "2 10:00", None, repository="acme/docs"),
    )
    assert listed(*issues) == ["I1", "I3", "I6", "I7"]
    assert listed(*issues, repositories=("acme/shop",)) == ["I1", "I3", "I6"]
    assert listed(*issues, labels=("bug",)) == ["I2", "I3"]


def test_a_reopened_issue_is_open_and_has_no_fix() -> None:
    reopened = issue("I1", "2 11:00", None, closed_by="#1")
    then = world(changes(1), (B, D1), issues=(reopened,))
    (found,) = delivery(then).incidents.values()
    assert (found["deployment_id"], found["ended_at"]) == ("D1", None)


def test_an_incident_ends_when_its_fix_is_deployed_to_its_target() -> None:
    """The fix #2 is deployed in web at 13:00 and in api, where the incident is, at 15:00."""
    made = (*changes(1), change(2, "2 12:30"))
    deployments = [
        deployment(f"{of} {name}", of, when, when, environment=name)
        for name, of, when in (
            ("api", "m0", "1 12:00"),
            ("web", "m0", "1 12:00"),
            ("api", "m1", "2 10:00"),
            ("web", "m2", "2 13:00"),
            ("api", "m2", "2 15:00"),
        )
    ]
    closed = incident("2 11:00", "2 12:30", target="api", fixed_by="#2")
    then = world(made, tuple(deployments), rules=SERVICES, incidents=(closed,))
    (found,) = delivery(then).incidents.values()
    assert found["ended_at"] == at("2 15:00")
