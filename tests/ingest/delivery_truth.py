"""Compares the deliveries in `raw` with those on GitHub."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from demo.delivery_model import AnnotatedTag, history
from demo.github import GitHub
from demo.model import Repository
from dora.database import Database
from tests.ingest.truth import rows

_COLUMNS = {
    "deployments": (
        "id, repository_id, environment, original_environment, task, state, commit_sha, ref, "
        "created_at, updated_at, vanished_at"
    ),
    "deployment_statuses": "id, deployment_id, state, environment, url, created_at, position",
    "releases": (
        "id, repository_id, tag, name, url, commit_sha, is_draft, is_prerelease, created_at, "
        "published_at, vanished_at"
    ),
    "tags": "id, repository_id, tag, commit_sha, tagged_at, vanished_at",
}


def _wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def landed(database: Database, table: str) -> dict[str, dict[str, Any]]:
    found = rows(database, f"select {_COLUMNS[table]} from raw.{table}")
    return {row["id"]: {name: _wire(value) for name, value in row.items()} for row in found}


def truth(github: GitHub, table: str) -> dict[str, dict[str, Any]]:
    """The expected rows, from GitHub."""
    made: Iterable[dict[str, Any]] = (
        row for repository in github.repositories() for row in _ROWS[table](github, repository)
    )
    return {row["id"]: row for row in made}


def _deployments(_: GitHub, repository: Repository) -> Iterable[dict[str, Any]]:
    for each in repository.deployments.values():
        yield {
            "id": each.id,
            "repository_id": repository.id,
            "environment": each.environment,
            "original_environment": each.original_environment,
            "task": each.task,
            "state": each.state,
            "commit_sha": each.commit_oid,
            "ref": each.ref_name,
            "created_at": each.created_at,
            "updated_at": each.updated_at,
            "vanished_at": None,
        }


def _statuses(_: GitHub, repository: Repository) -> Iterable[dict[str, Any]]:
    for deployment in repository.deployments.values():
        in_order = sorted(deployment.statuses, key=lambda status: status.created_at)
        for position, each in enumerate(in_order):
            yield {
                "id": each.id,
                "deployment_id": deployment.id,
                "state": each.state,
                "environment": each.environment,
                "url": each.environment_url,
                "created_at": each.created_at,
                "position": position,
            }


def _releases(github: GitHub, repository: Repository) -> Iterable[dict[str, Any]]:
    for each in repository.releases.values():
        if each.is_draft and not github.shows_drafts:
            continue
        commit = each.tag_commit
        yield {
            "id": each.id,
            "repository_id": repository.id,
            "tag": each.tag_name,
            "name": each.name,
            "url": each.url,
            "commit_sha": commit.oid if commit else None,
            "is_draft": each.is_draft,
            "is_prerelease": each.is_prerelease,
            "created_at": each.created_at,
            "published_at": each.published_at,
            "vanished_at": None,
        }


def _tags(_: GitHub, repository: Repository) -> Iterable[dict[str, Any]]:
    for each in repository.tags.values():
        is_annotated = isinstance(each.target, AnnotatedTag)
        yield {
            "id": each.id,
            "repository_id": repository.id,
            "tag": each.name,
            "commit_sha": each.commit.oid if each.commit else None,
            "tagged_at": each.target.tagged_at if is_annotated else None,
            "vanished_at": None,
        }


_ROWS: dict[str, Any] = {
    "deployments": _deployments,
    "deployment_statuses": _statuses,
    "releases": _releases,
    "tags": _tags,
}


def unlike(database: Database, github: GitHub, *tables: str) -> list[str]:
    """Name every missing, surplus or different row; vanished rows may be missing on GitHub."""
    faults = []
    for table in tables or tuple(_ROWS):
        wanted, found = truth(github, table), landed(database, table)
        gone = {key for key, row in found.items() if row.get("vanished_at")}
        if table == "deployment_statuses":
            live = wanted_deployments(database)
            gone = {key for key, row in found.items() if row["deployment_id"] not in live}
        faults += [f"{table}: missing {key}" for key in wanted.keys() - found.keys()]
        faults += [f"{table}: too much {key}" for key in found.keys() - wanted.keys() - gone]
        for key in wanted.keys() & found.keys():
            if wanted[key] != found[key]:
                faults.append(f"{table}: {found[key]}, should be {wanted[key]}")
    return faults


def wanted_deployments(database: Database) -> set[str]:
    query = "select id from raw.deployments where vanished_at is null"
    return {row["id"] for row in rows(database, query)}


def commits(database: Database, repository: Repository) -> dict[str, str]:
    query = f"select sha, parents from raw.commits where repository_id = '{repository.id}'"
    found = rows(database, query)
    assert len({row["sha"] for row in found}) == len(found)
    return {row["sha"]: row["parents"] for row in found}


def reached(repository: Repository, *tips: str) -> dict[str, str]:
    """The commits reachable from the tips, with their parents."""
    known = repository.commits
    oids = {oid for tip in tips if tip in known for oid in history(repository, tip)}
    return {oid: " ".join(known[oid].parent_oids) for oid in oids}


def files(github: GitHub) -> dict[str, list[str]]:
    """The files of the merged pull requests."""
    return {
        pull_request.id: sorted(pull_request.paths)
        for repository in github.repositories()
        for pull_request in repository.by_number.values()
        if pull_request.merged
    }


def landed_files(database: Database) -> dict[str, list[str]]:
    """The files in `raw` of the pull requests that have not vanished."""
    query = """
        select files.pull_request_id as id, files.paths
        from raw.pull_request_files as files
        inner join raw.pull_requests on files.pull_request_id = pull_requests.id
        where files.is_complete and pull_requests.vanished_at is null
    """
    return {row["id"]: sorted(row["paths"]) for row in rows(database, query)}


def incidents(github: GitHub, label: str) -> dict[str, dict[str, Any]]:
    """The issues that are incidents."""
    found = {}
    for repository in github.repositories():
        for issue in repository.issues.values():
            is_discarded = issue.closed_at and issue.reason in {"NOT_PLANNED", "DUPLICATE"}
            if label not in issue.labels or is_discarded:
                continue
            closer = issue.events[-1].closer if issue.events and issue.closed_at else None
            number = getattr(closer, "number", None)
            fixed_by = f"{repository.name_with_owner}#{number}" if number else None
            found[issue.id] = {
                "id": issue.id,
                "title": issue.title,
                "started_at": issue.created_at,
                "resolved_at": issue.closed_at,
                "fixed_by": fixed_by,
            }
    return found


def landed_incidents(database: Database) -> dict[str, dict[str, Any]]:
    query = "select id, title, started_at, resolved_at, fixed_by from raw.incidents"
    found = rows(database, query)
    return {row["id"]: {name: _wire(value) for name, value in row.items()} for row in found}


def unknown_commits(database: Database, github: GitHub) -> list[str]:
    """Name every commit reachable from a production deployment, a tag or main but not in raw."""
    faults = []
    for repository in github.repositories():
        tips = [repository.branches[repository.default_branch]] if repository.branches else []
        production = [
            each.commit_oid
            for each in repository.deployments.values()
            if "production" in {each.environment, each.original_environment}
        ]
        tagged = [ref.commit.oid for ref in repository.tags.values() if ref.commit]
        if not production and not tagged:
            continue
        wanted = reached(repository, *tips, *production, *tagged)
        found = commits(database, repository)
        faults += [
            f"{repository.name_with_owner} lacks {oid}"
            for oid, parents in wanted.items()
            if found.get(oid) != parents
        ]
    return faults
