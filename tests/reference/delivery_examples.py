"""The worked examples of docs/delivery.md: input data, and figures copied from that page.

`EXAMPLES` can test any code that computes the marts. A figure that an example does not state is not
checked. Deployments, pull requests and incidents are keyed by id, teams by team id; `week` has the
figures of the week of 2026-03-02.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any

from .coverage import Coverage
from .delivery import (
    Commit,
    GitHubDeployment,
    IncidentRule,
    Issue,
    PullRequest,
    Rule,
    Status,
    World,
)

SHOP = "acme/shop"
DOCS = "acme/docs"
WEEK = "2026-03-02"
AS_OF = "2026-03-31T00:00Z"
THIRD = 1 / 3
SIXTH = 1 / 6

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Example:
    """The expected values by id and column; `shares` by (team, deployment)."""

    name: str
    world: World
    week: Mapping[str, Row]
    deployments: Mapping[str, Row] = field(default_factory=dict)
    shares: Mapping[tuple[str, str], float] = field(default_factory=dict)
    pull_requests: Mapping[str, Row] = field(default_factory=dict)
    incidents: Mapping[str, Row] = field(default_factory=dict)


def at(short: str) -> datetime:
    """Parse `2 13:30`, which is 2 March 2026 at 13:30 UTC."""
    day, _, clock = short.partition(" ")
    hour, _, minute = clock.partition(":")
    return datetime(2026, 3, int(day), int(hour), int(minute), tzinfo=UTC)


def optional_at(short: str | None) -> datetime | None:
    return None if short is None else at(short)


def sha(name: str, repository: str = SHOP) -> str:
    """Return the sha of a commit by its name in the example, such as `m1`."""
    return sha1(f"{repository} {name}".encode(), usedforsecurity=False).hexdigest()


def pr(number: int, author: str, begun: str, merged: str, **more: Any) -> PullRequest:
    """Make a merged pull request, opened half an hour after its first commit."""
    repository = more.get("repository", SHOP)
    facts: dict[str, Any] = {
        "id": f"PR_{number}",
        "repository": repository,
        "number": number,
        "author": author,
        "author_id": f"U_{author}",
        "first_commit_at": at(begun),
        "created_at": min(at(begun) + timedelta(minutes=30), at(merged)),
        "merged_at": at(merged),
        "merge_commit_sha": sha(f"m{number}", repository),
        "head_sha": sha(f"head{number}", repository),
        "head_ref": f"topic-{number}",
        "title": f"Change {number}",
    }
    return PullRequest(**(facts | more))


def commit(name: str, committed: str, *parents: str, repository: str = SHOP) -> Commit:
    return Commit(
        repository=repository,
        sha=sha(name, repository),
        parents=tuple(sha(parent, repository) for parent in parents),
        committed_at=at(committed),
    )


def chain(*pull_requests: PullRequest, repository: str = SHOP) -> tuple[Commit, ...]:
    """Return m0 and the merge commits of pull requests, each the parent of the next."""
    shas = [sha("m0", repository), *(str(one.merge_commit_sha) for one in pull_requests)]
    times = [at("1 12:00"), *(one.merged_at or one.created_at for one in pull_requests)]
    parents = [(), *((before,) for before in shas)]
    return tuple(
        Commit(repository=repository, sha=name, parents=before, committed_at=time)
        for name, before, time in zip(shas, parents, times, strict=False)
    )


def deployment(
    name: str, of: str, requested: str, succeeded: str, *others: tuple[str, str], **more: Any
) -> GitHubDeployment:
    """Make a successful deployment; `others` are further statuses with their instants."""
    statuses = [("success", succeeded), *others]
    facts: dict[str, Any] = {
        "id": name,
        "repository": SHOP,
        "environment": "production",
        "commit_sha": sha(of),
        "created_at": at(requested),
        "statuses": tuple(Status(state=state, created_at=at(when)) for state, when in statuses),
    }
    return GitHubDeployment(**(facts | more))


B = deployment("B", "m0", "1 12:00", "1 12:05")


def issue(name: str, started: str, closed: str | None, **more: Any) -> Issue:
    facts: dict[str, Any] = {
        "id": name,
        "repository": SHOP,
        "number": 900 + int(name.removeprefix("I")),
        "title": f"Incident {name}",
        "labels": ("incident",),
        "created_at": at(started),
        "closed_at": optional_at(closed),
        "state_reason": None if closed is None else "completed",
    }
    return Issue(**(facts | more))


def team(name: str, **weights: float) -> dict[str, Any]:
    return {
        "id": name,
        "name": name.title(),
        "members": [
            {"github_username": login, "allocation_weight": weight, "joined_at": "2026-01-01"}
            for login, weight in weights.items()
        ],
    }


CORE, WEB = team("core", Ada=1), team("web", Bob=0.5)


def world(
    pull_requests: tuple[PullRequest, ...],
    deployments: tuple[GitHubDeployment, ...],
    **more: Any,
) -> World:
    """Make a world of the shop; its default branch has the merges in order."""
    facts: dict[str, Any] = {
        "repositories": {SHOP: "main"},
        "teams": (CORE, WEB),
        "commits": chain(*pull_requests),
        "coverage": {SHOP: Coverage(covered_to=AS_OF)},
        "incident_rule": IncidentRule(labels=("incident",)),
    }
    return World(pull_requests=pull_requests, deployments=deployments, **(facts | more))


def a_batch() -> Example:
    changes = (
        pr(1, "Ada", "2 08:00", "2 12:00"),
        pr(2, "Bob", "2 09:00", "2 12:30"),
        pr(3, "Eve", "2 09:00", "2 13:00"),
    )
    return Example(
        name="1 a batch, weights",
        world=world(changes, (B, deployment("D1", "m3", "2 13:15", "2 13:30"))),
        week={
            "core": {
                "deployments": 1,
                "weighted_deployments": THIRD,
                "deployment_days": 1,
                "changes_deployed": 1,
                "median_change_lead_time_hours": 5.5,
                "is_complete": True,
                "is_settled": True,
            },
            "web": {
                "deployments": 1,
                "weighted_deployments": SIXTH,
                "median_change_lead_time_hours": 4.5,
            },
        },
        deployments={"B": {"kind": "first"}, "D1": {"kind": "deploy", "changes_added": 3}},
        shares={("core", "D1"): THIRD, ("web", "D1"): SIXTH, ("unassigned", "D1"): SIXTH},
    )


def merged_while_a_deployment_ran() -> Example:
    changes = (pr(1, "Ada", "2 08:00", "2 10:00"), pr(2, "Ada", "2 08:00", "2 10:02"))
    return Example(
        name="2 merged while a deployment ran, second region, re-run",
        world=world(
            changes,
            (
                B,
                deployment("D1", "m1", "2 10:01", "2 10:10"),
                deployment("D1'", "m1", "2 10:01", "2 10:20", environment="prod-us"),
                deployment("D1''", "m1", "3 09:00", "3 09:05"),
                deployment("D2", "m2", "4 08:00", "4 08:30"),
            ),
        ),
        week={
            "core": {
                "deployments": 2,
                "changes_deployed": 2,
                "median_change_lead_time_hours": 25 + 1 / 3,
                "weighted_median_change_lead_time_hours": 2 + 1 / 6,
            }
        },
        deployments={
            "D1": {"kind": "deploy", "changes_added": 1},
            "D1'": {"kind": "redeploy", "changes_added": 0},
            "D1''": {"kind": "redeploy", "changes_added": 0},
            "D2": {"kind": "deploy", "changes_added": 1},
        },
        pull_requests={
            "PR_1": {"deployment_id": "D1", "change_lead_time_hours": 2 + 1 / 6},
            "PR_2": {"deployment_id": "D2", "change_lead_time_hours": 48.5},
        },
    )


def failed_waited_inactive() -> Example:
    failed = GitHubDeployment(
        id="D1",
        repository=SHOP,
        environment="production",
        commit_sha=sha("m1"),
        created_at=at("2 10:30"),
        statuses=(Status(state="failure", created_at=at("2 10:40")),),
    )
    waited = deployment("D2", "m1", "2 11:00", "4 16:00", ("inactive", "20 09:00"))
    return Example(
        name="3 failed, waited, inactive",
        world=world((pr(1, "Ada", "2 08:00", "2 10:00"),), (B, failed, waited)),
        week={
            "core": {
                "deployments": 1,
                "median_change_lead_time_hours": 56.0,
                "failed_deployments": 0,
                "change_fail_rate": 0.0,
            }
        },
        deployments={"B": {"kind": "first"}, "D2": {"kind": "deploy", "changes_added": 1}},
        pull_requests={"PR_1": {"deployed_at": at("4 16:00"), "change_lead_time_hours": 56.0}},
    )


def rollback_and_forward_again() -> Example:
    changes = (
        pr(1, "Ada", "2 08:00", "2 09:30"),
        pr(2, "Bob", "2 08:00", "2 12:30"),
        pr(3, "Ada", "2 15:00", "2 16:30"),
    )
    return Example(
        name="4 rollback and forward again",
        world=world(
            changes,
            (
                B,
                deployment("D1", "m1", "2 09:55", "2 10:00"),
                deployment("D2", "m2", "2 12:55", "2 13:00"),
                deployment("R", "m1", "2 14:10", "2 14:15"),
                deployment("D3", "m3", "2 16:55", "2 17:00"),
            ),
        ),
        week={
            "core": {
                "deployments": 2,
                "weighted_deployments": 1.5,
                "rollbacks": 0,
                "change_fail_rate": 0.0,
                "failures_recovered": 0,
                "median_recovery_hours": None,
            },
            "web": {
                "deployments": 2,
                "weighted_deployments": 0.75,
                "rollbacks": 1,
                "change_fail_rate": 0.5,
                "weighted_change_fail_rate": 2 / 3,
                "rework_deployments": 1,
                "deployment_rework_rate": THIRD,
                "failures_recovered": 1,
                "median_recovery_hours": 1.25,
                "weighted_median_recovery_hours": 1.25,
                "failures_open": 0,
                "median_change_lead_time_hours": 5.0,
            },
        },
        deployments={
            "D1": {"kind": "deploy", "changes_added": 1, "is_failed": False},
            "D2": {
                "kind": "deploy",
                "changes_added": 1,
                "is_failed": True,
                "failure_causes": ("rollback",),
                "recovered_at": at("2 14:15"),
                "recovery_hours": 1.25,
            },
            "R": {"kind": "rollback", "changes_withdrawn": 1, "is_rework": True},
            "D3": {"kind": "deploy", "changes_added": 2, "is_rework": False},
        },
        pull_requests={"PR_2": {"deployment_id": "D2", "change_lead_time_hours": 5.0}},
    )


def rollback_over_two() -> Example:
    changes = (
        pr(1, "Ada", "2 08:00", "2 09:00"),
        pr(2, "Bob", "2 08:00", "2 10:00"),
        pr(3, "Ada", "2 08:00", "2 11:00"),
    )
    return Example(
        name="4 rollback over two",
        world=world(
            changes,
            (
                B,
                deployment("D1", "m1", "2 09:10", "2 09:15"),
                deployment("D2", "m2", "2 10:10", "2 10:15"),
                deployment("D3", "m3", "2 11:10", "2 11:15"),
                deployment("R", "m1", "2 12:10", "2 12:15"),
                deployment("D4", "m3", "3 09:10", "3 09:15"),
            ),
        ),
        week={
            "core": {
                "deployments": 3,
                "failed_deployments": 0,
                "rollbacks": 1,
                "rework_deployments": 2,
                "deployment_rework_rate": 0.5,
            },
            "web": {
                "deployments": 2,
                "change_fail_rate": 0.5,
                "rework_deployments": 2,
                "deployment_rework_rate": 2 / 3,
            },
        },
        deployments={
            "D1": {"is_failed": False},
            "D2": {"is_failed": True, "recovery_hours": 2.0},
            "D3": {"is_failed": False},
            "R": {"kind": "rollback", "changes_withdrawn": 2, "is_rework": True},
            "D4": {"kind": "deploy", "changes_added": 2, "is_rework": True, "is_failed": False},
        },
    )


def overtaken() -> Example:
    changes = (pr(1, "Ada", "2 08:00", "2 09:00"), pr(2, "Ada", "2 08:30", "2 09:05"))
    return Example(
        name="5 overtaken",
        world=world(
            changes,
            (
                B,
                deployment("D1", "m1", "2 09:01", "2 09:30"),
                deployment("D2", "m2", "2 09:06", "2 09:20"),
            ),
        ),
        week={"core": {"deployments": 1, "failed_deployments": 0, "rollbacks": 0}},
        deployments={
            "D1": {"kind": "overtaken", "changes_added": 0, "is_failed": False},
            "D2": {"kind": "deploy", "changes_added": 2, "is_failed": False},
        },
        pull_requests={
            "PR_1": {"change_lead_time_hours": 1 + THIRD},
            "PR_2": {"change_lead_time_hours": 50 / 60},
        },
    )


def another_branch() -> Example:
    first = pr(1, "Ada", "2 08:00", "2 10:00")
    inner = pr(7, "Bob", "2 08:00", "2 12:00", base_ref="f", merge_commit_sha=sha("f7"))
    outer = pr(2, "Ada", "2 08:00", "3 10:00", head_ref="f", head_sha=sha("f7"))
    last = pr(3, "Ada", "2 08:00", "5 10:00")
    return Example(
        name="6 another branch, not deployed",
        world=world(
            (first, inner, outer, last),
            (
                B,
                deployment("D1", "m1", "2 10:55", "2 11:00"),
                deployment("D2", "m2", "3 10:55", "3 11:00"),
            ),
            commits=(
                commit("m0", "1 12:00"),
                commit("m1", "2 10:00", "m0"),
                commit("f7", "2 12:00", "m1"),
                commit("m2", "3 10:00", "m1", "f7"),
                commit("m3", "5 10:00", "m2"),
            ),
        ),
        week={
            "core": {
                "deployments": 2,
                "weighted_deployments": 1.5,
                "changes_deployed": 2,
                "median_change_lead_time_hours": 15.0,
            },
            "web": {
                "deployments": 1,
                "weighted_deployments": 0.25,
                "median_change_lead_time_hours": 27.0,
            },
        },
        pull_requests={
            "PR_1": {"change_lead_time_hours": 3.0},
            "PR_2": {"change_lead_time_hours": 27.0, "not_deployed_reason": None},
            "PR_7": {"change_lead_time_hours": 27.0, "deployment_id": "D2"},
            "PR_3": {"deployed_at": None, "not_deployed_reason": "not_deployed"},
        },
    )


def release_branch() -> Example:
    changes = (
        pr(1, "Ada", "2 08:00", "2 10:00"),
        pr(2, "Ada", "2 09:00", "2 12:00"),
        pr(3, "Bob", "3 09:00", "3 10:30"),
    )
    backport = pr(8, "Bob", "3 11:00", "3 12:00", base_ref="release", merge_commit_sha=sha("r1"))
    return Example(
        name="7 release branch",
        world=world(
            (*changes, backport),
            (
                B,
                deployment("D1", "m1", "2 10:55", "2 11:00"),
                deployment("D2", "r1", "3 12:55", "3 13:00"),
                deployment("D3", "m3", "6 09:55", "6 10:00"),
            ),
            commits=(*chain(*changes), commit("r1", "3 12:00", "m1")),
        ),
        week={
            "core": {
                "deployments": 2,
                "weighted_deployments": 1.5,
                "median_change_lead_time_hours": 50.0,
            },
            "web": {
                "deployments": 2,
                "weighted_deployments": 0.75,
                "median_change_lead_time_hours": 37.5,
                "weighted_median_change_lead_time_hours": 2.0,
            },
        },
        deployments={
            "D2": {"kind": "deploy", "changes_added": 1},
            "D3": {"kind": "deploy", "changes_added": 2, "changes_withdrawn": 0},
        },
        pull_requests={
            "PR_1": {"change_lead_time_hours": 3.0, "deployment_id": "D1"},
            "PR_2": {"change_lead_time_hours": 97.0, "deployment_id": "D3"},
            "PR_8": {"change_lead_time_hours": 2.0, "deployment_id": "D2"},
            "PR_3": {"change_lead_time_hours": 73.0, "deployment_id": "D3"},
        },
    )


def reverts() -> Example:
    changes = (
        pr(1, "Ada", "2 08:00", "2 09:00"),
        pr(2, "Bob", "2 08:00", "2 09:30"),
        pr(3, "Bob", "3 09:00", "3 10:00", **revert_of(1, "Change 1")),
        pr(4, "Ada", "4 09:00", "4 10:00", **revert_of(3, 'Revert "Change 1"')),
        pr(5, "Ada", "5 08:00", "5 09:00"),
        pr(6, "Ada", "5 09:00", "5 10:00", **revert_of(5, "Change 5")),
    )
    return Example(
        name="8 revert, revert of a revert, both at once",
        world=world(
            changes,
            (
                B,
                deployment("D1", "m2", "2 09:55", "2 10:00"),
                deployment("D2", "m3", "3 10:25", "3 10:30"),
                deployment("D3", "m4", "4 10:25", "4 10:30"),
                deployment("D4", "m6", "5 10:25", "5 10:30"),
            ),
        ),
        week={
            "core": {
                "deployments": 3,
                "weighted_deployments": 2.5,
                "change_fail_rate": THIRD,
                "weighted_change_fail_rate": 0.2,
                "rework_deployments": 0,
            },
            "web": {
                "deployments": 2,
                "weighted_deployments": 0.75,
                "change_fail_rate": 0.5,
                "weighted_change_fail_rate": THIRD,
                "deployment_rework_rate": 0.5,
            },
        },
        deployments={
            "D1": {
                "changes_added": 2,
                "is_failed": True,
                "failure_causes": ("revert",),
                "recovery_hours": 24.5,
            },
            "D2": {"changes_added": 1, "is_failed": False, "is_rework": True},
            "D3": {"changes_added": 1, "is_failed": False, "is_rework": False},
            "D4": {"changes_added": 2, "is_failed": False, "is_rework": False},
        },
    )


def revert_of(number: int, title: str) -> dict[str, str]:
    """Return title, body and branch as GitHub's Revert button creates them."""
    return {
        "title": f'Revert "{title}"',
        "body": f"Reverts {SHOP}#{number}",
        "head_ref": f"revert-{number}-topic-{number}",
    }


def incident_over_several_deployments() -> Example:
    changes = (
        pr(1, "Ada", "2 08:00", "2 09:00"),
        pr(2, "Bob", "2 08:00", "2 11:00"),
        pr(3, "Ada", "2 11:00", "2 13:00"),
    )
    return Example(
        name="9 an incident over several deployments",
        world=world(
            changes,
            (
                B,
                deployment("D1", "m1", "2 09:25", "2 09:30"),
                deployment("D2", "m2", "2 11:25", "2 11:30"),
                deployment("D3", "m3", "2 13:35", "2 13:40"),
            ),
            issues=(issue("I1", "2 10:00", "2 13:00", closed_by=f"{SHOP}#3"),),
        ),
        week={
            "core": {
                "deployments": 2,
                "change_fail_rate": 0.5,
                "deployment_rework_rate": 0.5,
                "failures_recovered": 1,
                "median_recovery_hours": 4 + 1 / 6,
            },
            "web": {"deployments": 1, "change_fail_rate": 0.0},
        },
        deployments={
            "D1": {
                "is_failed": True,
                "failure_causes": ("incident",),
                "recovered_at": at("2 13:40"),
                "recovery_hours": 4 + 1 / 6,
            },
            "D2": {"is_failed": False},
            "D3": {"is_failed": False, "is_rework": True},
        },
        incidents={"I1": {"deployment_id": "D1"}},
    )


def incidents_that_nobody_caused() -> Example:
    return Example(
        name="10 incidents that nobody caused",
        world=world(
            (pr(1, "Ada", "2 08:00", "2 09:00"),),
            (B, deployment("D1", "m1", "2 09:25", "2 09:30")),
            issues=(
                issue("I1", "1 11:00", "1 11:30"),
                issue("I2", "2 08:00", "2 08:30"),
                issue("I3", "9 09:31", "9 10:00"),
                issue("I4", "2 10:00", "2 11:00", state_reason="not_planned"),
            ),
        ),
        week={
            "core": {
                "deployments": 1,
                "failed_deployments": 0,
                "change_fail_rate": 0.0,
                "failures_recovered": 0,
                "median_recovery_hours": None,
            }
        },
        deployments={"D1": {"is_failed": False}},
        incidents={name: {"deployment_id": None} for name in ("I1", "I2", "I3")},
    )


def two_services() -> Example:
    changes = (
        pr(1, "Ada", "2 09:00", "2 10:15", labels=("svc:api",)),
        pr(2, "Ada", "2 10:00", "2 11:15"),
    )
    api, web = {"environment": "api-prod"}, {"environment": "web-prod"}
    return Example(
        name="11 two services",
        world=world(
            changes,
            (
                deployment("B-api", "m0", "1 12:00", "1 12:05", **api),
                deployment("B-web", "m0", "1 12:00", "1 12:05", **web),
                deployment("W1", "m1", "2 10:25", "2 10:30", **web),
                deployment("W2", "m2", "2 11:25", "2 11:30", **web),
                deployment("A1", "m1", "2 14:55", "2 15:00", **api),
                deployment("A2", "m2", "2 15:55", "2 16:00", **api),
            ),
            rules=tuple(
                Rule(
                    repositories=(SHOP,),
                    target=name,
                    environment=f"^{name}-prod$",
                    labels=(f"svc:{name}",),
                )
                for name in ("api", "web")
            ),
        ),
        week={"core": {"changes_deployed": 2, "median_change_lead_time_hours": 3.75}},
        deployments={
            "W1": {"target": "web", "changes_added": 0},
            "W2": {"target": "web", "changes_added": 1},
            "A1": {"target": "api", "changes_added": 1},
            "A2": {"target": "api", "changes_added": 1},
        },
        pull_requests={
            "PR_1": {"change_lead_time_hours": 6.0, "deployment_id": "A1"},
            "PR_2": {"change_lead_time_hours": 1.5, "deployment_id": "W2"},
        },
    )


NULL_FIGURES = dict.fromkeys(
    (
        "deployments",
        "weighted_deployments",
        "deployment_days",
        "rollbacks",
        "changes_deployed",
        "weighted_changes_deployed",
        "median_change_lead_time_hours",
        "p95_change_lead_time_hours",
        "weighted_median_change_lead_time_hours",
        "weighted_p95_change_lead_time_hours",
        "median_deploy_hours",
        "failed_deployments",
        "change_fail_rate",
        "weighted_change_fail_rate",
        "rework_deployments",
        "deployment_rework_rate",
        "weighted_deployment_rework_rate",
        "failures_recovered",
        "median_recovery_hours",
        "weighted_median_recovery_hours",
        "failures_open",
    )
)

ZERO_FIGURES = NULL_FIGURES | {
    "deployments": 0,
    "weighted_deployments": 0.0,
    "deployment_days": 0,
    "rollbacks": 0,
    "changes_deployed": 0,
    "weighted_changes_deployed": 0,
    "failed_deployments": 0,
    "rework_deployments": 0,
    "failures_recovered": 0,
    "failures_open": 0,
}


def nothing_to_measure() -> Example:
    """`docs` works in a repository without deployments; `ops` has no deployment yet."""
    page = pr(1, "Dot", "2 08:00", "2 09:00", repository=DOCS, id="PR_docs")
    waiting = pr(1, "Olga", "2 08:00", "2 09:00")
    return Example(
        name="12 nothing to measure",
        world=world(
            (page, waiting),
            (B,),
            repositories={SHOP: "main", DOCS: "main"},
            teams=(team("docs", Dot=1), team("ops", Olga=1)),
            commits=(*chain(waiting), *chain(page, repository=DOCS)),
            coverage={name: Coverage(covered_to=AS_OF) for name in (SHOP, DOCS)},
        ),
        week={"docs": NULL_FIGURES, "ops": ZERO_FIGURES},
        pull_requests={
            "PR_docs": {"deployed_at": None, "not_deployed_reason": "not_measured"},
            "PR_1": {"deployed_at": None, "not_deployed_reason": "not_deployed"},
        },
    )


EXAMPLES = (
    a_batch(),
    merged_while_a_deployment_ran(),
    failed_waited_inactive(),
    rollback_and_forward_again(),
    rollback_over_two(),
    overtaken(),
    another_branch(),
    release_branch(),
    reverts(),
    incident_over_several_deployments(),
    incidents_that_nobody_caused(),
    two_services(),
    nothing_to_measure(),
)
