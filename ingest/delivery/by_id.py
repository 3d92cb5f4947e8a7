"""Reads deployments, releases and tags by node id, and further statuses of deployments."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ingest.delivery.load_context import LoadContext
from ingest.failures import Kind as Failing
from ingest.github.adaptive_page_size import LONGEST
from ingest.github.batching import in_parts
from ingest.github.deliveries import MODELS, Delivered, Deployment, Kind, Statuses
from ingest.github.discovery import Found, probe
from ingest.github.errors import Unanswerable
from ingest.github.queries import details_document
from ingest.github.responses import REFUSED

# Attempts for statuses that GitHub returns with a null or an error in them.
TRIES = 3
# How many deployments' further statuses share a request: 2,500 nodes.
AT_ONCE = 25
Subject = tuple[Kind, str]
_FAILING: dict[Kind, Failing] = {
    "deployments": "deployment",
    "releases": "release",
    "tags": "tag",
}
_VANISH = """
    update raw.{table}
    set vanished_at = %s
    where id = any(%s) and vanished_at is null
    returning id
"""


def parse(kind: Kind, node: Any) -> Delivered:
    """Validate one object of a list."""
    return MODELS[kind].model_validate(node)


class ById:
    """Reads single objects."""

    def __init__(self, desk: LoadContext) -> None:
        self.desk = desk

    async def put(self, kind: Kind, repository_id: str, items: Sequence[Delivered]) -> None:
        """Add these to the rows to load, deployments with all their statuses."""
        await self._complete([item for item in items if isinstance(item, Deployment)])
        whole = []
        for item in items:
            if isinstance(item, Deployment) and item.statuses.page_info.has_next_page:
                reason = "GitHub returned only a part of its statuses"
                self.desk.fail("deployment", item.id, repository_id, reason)
                continue
            whole.append(item)
        self.desk.put(kind, "id", (item.row(repository_id) for item in whole))
        if whole:
            self.desk.need_commits(repository_id)
        ids = [item.id for item in whole]
        self.desk.failures.resolve(_FAILING[kind], ids, self.desk.now)

    async def fetch(self, subjects: Mapping[str, Subject]) -> bool:
        """Read these again; deleted ones get `vanished_at`, unreadable ones a failure.

        Returns False if GitHub did not tell whether one of them is deleted.
        """
        gone: dict[str, Subject] = {}
        async for part, answer in in_parts(self.desk.github, "deliveries", list(subjects)):
            if isinstance(answer, Unanswerable):
                kind, repository_id = subjects[part[0]]
                self.desk.fail(_FAILING[kind], part[0], repository_id, str(answer))
                continue
            nodes = answer.data["nodes"]
            errors = [answer.error_about("nodes", index) or {} for index in range(len(nodes))]
            is_refused = sum(error.get("type") in REFUSED for error in errors) * 2 > len(part)
            for key, node, error in zip(part, nodes, errors, strict=True):
                kind, repository_id = subjects[key]
                if node is None and error.get("type") == "NOT_FOUND":
                    gone[key] = subjects[key]
                    continue
                reason = str(error.get("message", "GitHub returned null for it"))
                if is_refused and error.get("type") in REFUSED:
                    # For a single one, GitHub may have failed; for most, a permission is missing.
                    self.desk.refused(repository_id, kind, reason)
                    continue
                if node is None or error:
                    self.desk.fail(_FAILING[kind], key, repository_id, reason)
                    continue
                try:
                    item = parse(kind, node)
                except ValidationError as invalid:
                    self.desk.fail(_FAILING[kind], key, repository_id, _faults(invalid))
                    continue
                await self.put(kind, repository_id, [item])
        await self.desk.land_if_due()
        return await self._vanish(gone)

    async def _vanish(self, gone: Mapping[str, Subject]) -> bool:
        """Mark deleted objects as vanished if GitHub still shows their repository."""
        if not gone:
            return True
        found = Found()
        repositories = sorted({repository_id for _, repository_id in gone.values()})
        await probe(self.desk.github, repositories, found)
        await self.desk.land()
        for kind in _FAILING:
            ids = [
                key
                for key, (its_kind, repository_id) in gone.items()
                if its_kind == kind and repository_id in found.repositories
            ]
            if ids:
                self.desk.select(_VANISH.format(table=kind), self.desk.now, ids)
                self.desk.failures.resolve(_FAILING[kind], ids, self.desk.now)
                self._compare_again(kind, {gone[key][1] for key in ids})
        return not found.unclear

    def _compare_again(self, kind: Kind, repositories: Iterable[str]) -> None:
        """Compare these lists with GitHub's count again.

        A new object may have taken the place of the deleted one in an unchanged count.
        """
        for repository_id in repositories:
            lists = self.desk.delivered(repository_id).lists
            if kind in lists:
                lists[kind] = lists[kind].model_copy(update={"is_compared": False})

    async def _complete(self, deployments: Sequence[Deployment]) -> None:
        """Read the statuses on further pages to their end."""
        failed: Counter[str] = Counter()
        while rest := [
            each
            for each in deployments
            if each.statuses.page_info.has_next_page and failed[each.id] < TRIES
        ]:
            async for part, answer in in_parts(
                self.desk.github, "details", rest[:AT_ONCE], {"first": LONGEST}, _statuses
            ):
                if isinstance(answer, Unanswerable):
                    failed[part[0].id] = TRIES
                    continue
                for index, deployment in enumerate(part):
                    node = answer.data.get(f"c{index}")
                    if answer.error_about(f"c{index}") or not _append(deployment, node):
                        failed[deployment.id] += 1


def _statuses(asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    deployments: list[Deployment] = asked["ids"]
    variables: dict[str, Any] = {}
    for index, deployment in enumerate(deployments):
        variables[f"id{index}"] = deployment.id
        variables[f"first{index}"] = asked["first"]
        variables[f"after{index}"] = deployment.statuses.page_info.end_cursor
    return details_document(["statuses"] * len(deployments)), variables


def _append(deployment: Deployment, node: Any) -> bool:
    """Add a page of statuses; return whether that makes progress."""
    try:
        further = Statuses.model_validate(node["statuses"])
    except (ValidationError, KeyError, TypeError):
        return False
    known = {status.id for status in deployment.statuses.nodes}
    new = [status for status in further.nodes if status.id not in known]
    if not new and further.page_info.has_next_page:
        return False
    deployment.statuses.nodes += new
    deployment.statuses.page_info = further.page_info
    return True


def _faults(invalid: ValidationError) -> str:
    faults = invalid.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults)
