"""Convert a world of the reference to rows of `raw`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dbt_support import Row, membership
from random_teams import team_groups

from ingest.commit_graph import Graph
from tests.reference import records
from tests.reference.delivery import Incident, PullRequest, Rule, World
from tests.reference.delivery.incidents import incidents_of
from tests.reference.delivery.signals import REVERT_BRANCH, REVERTS_COMMIT, _numbers

Rows = dict[str, list[Row]]
# The kinds of delivery data that the ingest loads.
KINDS = (
    *("commits", "deployments", "releases", "tags", "workflow_runs"),
    "pull_request_files",
)


def rows_of(world: World) -> Rows:
    """Return the rows that an ingest would load for a world."""
    return {
        "repositories": list(_repositories(world)),
        "teams": [{"team_id": records.team_id(team), "name": team["name"]} for team in world.teams],
        "team_memberships": list(_memberships(world)),
        "team_groups": list(team_groups(world.teams)),
        "settings": [
            {"name": "deployments", "value": [_rule(rule) for rule in world.rules]},
            {"name": "pull_requests", "value": list(world.exclusions)},
        ],
        "pull_requests": [_pull_request(one) for one in world.pull_requests],
        "deployments": [
            {
                "id": one.id,
                "repository_id": f"R_{one.repository}",
                "environment": one.environment,
                "original_environment": one.original_environment,
                "task": one.task,
                "commit_sha": one.commit_sha,
                "created_at": one.created_at,
            }
            for one in world.deployments
        ],
        "deployment_statuses": [
            {
                "id": f"{one.id} {position}",
                "deployment_id": one.id,
                "state": status.state.upper(),
                "created_at": status.created_at,
                "position": position,
            }
            for one in world.deployments
            for position, status in enumerate(one.statuses)
        ],
        "releases": [
            {
                "id": one.id,
                "repository_id": f"R_{one.repository}",
                "tag": one.tag,
                "url": "",
                "commit_sha": one.commit_sha,
                "is_draft": one.is_draft,
                "is_prerelease": one.is_prerelease,
                "created_at": "2026-01-01T00:00Z",
                "published_at": one.published_at,
            }
            for one in world.releases
        ],
        "tags": [
            {
                "id": one.id,
                "repository_id": f"R_{one.repository}",
                "tag": one.name,
                "commit_sha": one.commit_sha,
                "tagged_at": one.tagged_at,
            }
            for one in world.tags
        ],
        "workflow_runs": list(_runs(world)),
        "pull_request_files": [
            {
                "pull_request_id": one.id,
                "repository_id": f"R_{one.repository}",
                "paths": list(one.paths or ()),
                "is_complete": one.paths is not None,
            }
            for one in world.pull_requests
            if one.merged_at
        ],
        "commits": list(_commits(world)),
        "incidents": [vars(one) for one in incidents_of(world)],
        "delivery_coverage": list(_coverage(world)),
    }


def _repositories(world: World) -> Iterator[Row]:
    for name, default_branch in world.repositories.items():
        covered = world.coverage[name]
        yield {
            "id": f"R_{name}",
            "repository": name,
            "default_branch": default_branch,
            "is_configured": True,
            "covered_from": covered.covered_from,
            "covered_to": covered.covered_to,
        }


def _coverage(world: World) -> Iterator[Row]:
    """Yield coverage: the smallest end in `delivery_coverage` applies to all repositories."""
    late = [one.covered_to for one in world.delivery_coverage.values() if one.covered_to]
    for name in world.repositories:
        for kind in KINDS:
            up_to = min([*late, world.coverage[name].covered_to or late[0]])
            yield {"repository_id": f"R_{name}", "kind": kind, "covered_to": up_to}


def _memberships(world: World) -> Iterator[Row]:
    for team in world.teams:
        for one in team["members"]:
            yield membership(
                records.team_id(team),
                one["github_username"],
                str(one["allocation_weight"]),
                one["joined_at"],
                one["left_at"],
            )


def _rule(rule: Rule) -> Row:
    given: Row = {"repositories": list(rule.repositories), "source": rule.source}
    for name in ("target", "environment", "tag", "workflow", "branch"):
        if getattr(rule, name):
            given[name] = getattr(rule, name)
    if rule.prereleases:
        given["prereleases"] = True
    if rule.labels:
        given["labels"] = list(rule.labels)
    if rule.paths:
        given["paths"] = list(rule.paths)
    return given


def _pull_request(one: PullRequest) -> Row:
    record = one.record()
    return {
        "id": one.id,
        "repository_id": f"R_{one.repository}",
        "repository": one.repository,
        "number": one.number,
        "title": one.title,
        "url": f"https://example.org/{one.repository}/pull/{one.number}",
        "state": record["state"],
        "is_draft": False,
        "author_id": one.author_id,
        "author_login": one.author,
        "author_type": one.author_type,
        "created_at": one.created_at,
        "updated_at": one.merged_at or one.created_at,
        "closed_at": record["closed_at"],
        "merged_at": one.merged_at,
        "merge_commit_sha": one.merge_commit_sha,
        "base_ref": one.base_ref,
        "head_ref": one.head_ref,
        "head_sha": one.head_sha,
        "reverts": _reverts(one),
        "first_commit_at": one.first_commit_at,
        "labels": list(one.labels),
        "vanished_at": "2026-12-01T00:00Z" if one.is_vanished else None,
    }


def _reverts(one: PullRequest) -> str | None:
    found = [f"#{number}" for number in _numbers(one)]
    found += [sha.lower() for sha in REVERTS_COMMIT.findall(one.body)]
    branch = REVERT_BRANCH.match(one.head_ref or "")
    if not found and branch:
        found.append(f"#{branch[1]}")
    return " ".join(found) or None


def _runs(world: World) -> Iterator[Row]:
    for one in world.workflow_runs:
        good = [attempt for attempt in one.attempts if attempt.conclusion == "success"]
        yield {
            "id": one.id,
            "repository_id": f"R_{one.repository}",
            "workflow": one.workflow,
            "workflow_path": one.path,
            "branch": one.branch,
            "commit_sha": one.head_sha,
            "url": "",
            "created_at": one.attempts[0].run_started_at,
            "run_started_at": good[0].run_started_at if good else None,
            "succeeded_at": good[0].ended_at if good else None,
        }


def _commits(world: World) -> Iterator[Row]:
    for name in world.repositories:
        commits = {one.sha: one for one in world.commits if one.repository == name}
        tip = tip_of(world, name)
        graph = Graph(((one.sha, one.parents) for one in commits.values()), tip)
        for sha, place in graph.places():
            yield {
                "repository_id": f"R_{name}",
                "sha": sha,
                "parents": " ".join(commits[sha].parents),
                "committed_at": commits[sha].committed_at,
            } | place._asdict()


def tip_of(world: World, repository: str) -> str | None:
    """Return the tip of the trunk: the last merge into the default branch, or any commit."""
    merges = [
        one.merge_commit_sha
        for one in world.pull_requests
        if one.repository == repository and one.base_ref == world.repositories[repository]
    ]
    known = {one.sha for one in world.commits if one.repository == repository}
    found = [sha for sha in merges if sha in known]
    return found[-1] if found else next(iter(known), None)


def renamed(world: World, name: str) -> World:
    """Return a world with unique names, so that one database can hold several."""

    def own(text: str | None) -> str | None:
        return text and text.replace("acme/", f"{name}/")

    def person(login: str | None) -> str | None:
        return login and (login.replace("[", f"-{name}[") if "[" in login else f"{login}-{name}")

    def of_repository(one: Any, **more: Any) -> Any:
        return replace(one, id=f"{name} {one.id}", repository=own(one.repository), **more)

    return replace(
        world,
        repositories={str(own(key)): value for key, value in world.repositories.items()},
        teams=tuple(
            team
            | {
                "id": f"{team['id']}-{name}",
                "members": [
                    one | {"github_username": person(one["github_username"])}
                    for one in team["members"]
                ],
            }
            for team in world.teams
        ),
        pull_requests=tuple(
            of_repository(
                one, author=person(one.author), author_id=person(one.author_id), body=own(one.body)
            )
            for one in world.pull_requests
        ),
        commits=tuple(replace(one, repository=own(one.repository)) for one in world.commits),
        deployments=tuple(map(of_repository, world.deployments)),
        releases=tuple(map(of_repository, world.releases)),
        tags=tuple(map(of_repository, world.tags)),
        workflow_runs=tuple(map(of_repository, world.workflow_runs)),
        issues=tuple(
            of_repository(one, closed_by=own(one.closed_by), body=own(one.body))
            for one in world.issues
        ),
        incidents=tuple(_incident(one, name, own) for one in world.incidents),
        rules=tuple(
            replace(rule, repositories=tuple(str(own(one)) for one in rule.repositories))
            for rule in world.rules
        ),
        coverage={str(own(key)): value for key, value in world.coverage.items()},
        delivery_coverage={f"{name} {k}": v for k, v in world.delivery_coverage.items()},
    )


def _incident(one: Incident, name: str, own: Any) -> Incident:
    return replace(
        one,
        id=f"{name} {one.id}",
        repository=own(one.repository),
        deployment_id=one.deployment_id and f"{name} {one.deployment_id}",
        pull_request=own(one.pull_request),
        fixed_by=own(one.fixed_by),
    )


def together(worlds: Sequence[World]) -> World:
    """Merge several renamed worlds; settings that they share come from the first."""
    first = worlds[0]
    names = ("pull_requests", "commits", "deployments", "releases", "tags", "workflow_runs")
    names += ("issues", "incidents", "teams", "rules")
    joined: dict[str, Any] = {
        name: tuple(one for world in worlds for one in getattr(world, name)) for name in names
    }
    repositories: dict[str, str] = {}
    for world in worlds:
        repositories |= world.repositories
    covered = next(iter(first.coverage.values()))
    return replace(
        first,
        **joined,
        repositories=repositories,
        coverage=dict.fromkeys(repositories, covered),
        # The first incident rule, if any world has one.
        incident_rule=next((one.incident_rule for one in worlds if one.incident_rule), None),
    )
