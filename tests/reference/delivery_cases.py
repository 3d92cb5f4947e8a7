"""Short helpers to make small worlds of the shop for tests of docs/delivery.md."""

from typing import Any

from tests.reference.delivery import (
    Delivery,
    GitHubDeployment,
    Incident,
    PullRequest,
    World,
    delivery,
)
from tests.reference.delivery_examples import (
    SHOP,
    B,
    at,
    deployment,
    optional_at,
    pr,
    world,
)

Row = dict[str, Any]


def change(number: int, merged: str = "2 08:00", author: str = "Ada", **more: Any) -> PullRequest:
    """Make a pull request that is begun and merged at the same instant."""
    return pr(number, author, merged, merged, **more)


def changes(count: int, **by_number: Row) -> tuple[PullRequest, ...]:
    """Make pull requests 1 to `count`; `c3={...}` sets further fields of the third."""
    return tuple(
        change(number, f"2 08:0{number}", **by_number.get(f"c{number}", {}))
        for number in range(1, count + 1)
    )


def ran(name: str, of: str, succeeded: str, *others: tuple[str, str]) -> GitHubDeployment:
    """Make a deployment requested at the instant of its success."""
    return deployment(name, of, succeeded, succeeded, *others)


def row(of: World, name: str, **options: Any) -> Row:
    """Return the row of a deployment."""
    rows = delivery(of, **options).deployments
    return next(one for key, one in rows.items() if key[-1] == name)


def kinds(of: World) -> str:
    return " ".join(one["kind"] for one in delivery(of).deployments.values())


def causes(of: World, name: str = "D1", **options: Any) -> str:
    return " ".join(row(of, name, **options)["failure_causes"])


def recovery(of: World, name: str = "D1", **options: Any) -> float | None:
    hours: float | None = row(of, name, **options)["recovery_hours"]
    return hours


def failed(of: World, **options: Any) -> str:
    rows = delivery(of, **options).deployments
    return " ".join(key[-1] for key, one in rows.items() if one["is_failed"])


def reason(of: World, number: int = 1) -> str | None:
    found: str | None = delivery(of).changes[SHOP, number]["not_deployed_reason"]
    return found


def deployed_by(of: World, number: int) -> str | None:
    found: str | None = delivery(of).changes[SHOP, number]["deployment_id"]
    return found


def incident(started: str, ended: str | None = None, **more: Any) -> Incident:
    facts: Row = {"source": "file", "id": "I1", "repository": SHOP}
    return Incident(started_at=at(started), resolved_at=optional_at(ended), **(facts | more))


def linked(of: World, **options: Any) -> tuple[str | None, str]:
    """Return the deployment of the only incident and its link, or the reason for none."""
    (found,) = delivery(of, **options).incidents.values()
    return found["deployment_id"], found["linked_by"] or found["not_linked_reason"]


def shop(
    merged: tuple[PullRequest, ...] | int, *deployments: GitHubDeployment, **more: Any
) -> World:
    """Make a world in which m0 runs first; an integer stands for that many pull requests."""
    made = changes(merged) if isinstance(merged, int) else merged
    return world(made, (B, *deployments), **more)


def shares(done: Delivery, name: str) -> dict[str, float]:
    return {
        team: float(one["share"])
        for (team, *key), one in done.team_deployments.items()
        if key[-1] == name
    }
