"""Reads incidents: issues with a label, and the rows of a file.

Every run requests the count and the latest change of the issues with each label. If these differ
from the loaded state, the list is read, and issues that it no longer shows are read by id: an issue
that loses its label leaves the list.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import ValidationError

from ingest.delivery.checkpoint import Round
from ingest.delivery.incident_rules import GITHUB, Incident, IncidentRules, sources_in
from ingest.delivery.load_context import LoadContext
from ingest.delivery.refetch import DAY
from ingest.github.batching import in_parts
from ingest.github.errors import Unanswerable
from ingest.github.incidents import Issue
from ingest.github.models import PageInfo
from ingest.github.newest_deliveries import Shown
from ingest.github.queries import incident_probe_document
from ingest.github.responses import REFUSED, Answer

KIND = "incidents"
TRIES = 3
_IDS = "select id, url from raw.incidents where source = %s"
_OPEN = "select id, url from raw.incidents where source = %s and resolved_at is null"
_DELETE = "delete from raw.incidents where source = %s and id = any(%s) returning id"
# Repositories that are no longer read must not hold up the metrics.
_FORGET = """
    delete from raw.delivery_coverage
    where kind = %s and not repository_id = any(%s)
    returning repository_id
"""
_OTHERS = """
    delete from raw.incidents
    where source = any(%s) and not (source || ' ' || id = any(%s))
    returning id
"""


class IncidentReader:
    """Reads the issues with the configured labels."""

    def __init__(
        self, desk: LoadContext, rules: IncidentRules | None, deployed: Mapping[str, str]
    ) -> None:
        self.desk = desk
        self.rules = rules
        # The ingested repositories: names in lower case, by id.
        self.deployed = deployed
        self.labels = {label.casefold() for label in rules.labels} if rules else set()
        self._read_lists: list[Callable[[], None]] = []
        self._read_at: dict[str, datetime] = {}
        self._failed: set[str] = set()

    async def follow(self, names: Iterable[str]) -> None:
        """Update the incidents from these repositories' issues."""
        if not self.labels or self.rules is None:
            ids = [row[0] for row in self.desk.select(_IDS, GITHUB)]
            await self._delete(ids)
            self.desk.select(_FORGET, KIND, [])
            return
        subjects = [(name, label) for name in names for label in self.rules.labels]
        changed: dict[str, str] = {}
        async for part, answer in in_parts(
            self.desk.github, "incident_probe", subjects, None, _render
        ):
            if isinstance(answer, Unanswerable):
                self._unclear(part[0][0], str(answer))
                continue
            for index, (name, label) in enumerate(part):
                await self._see(name, label, answer, f"c{index}", changed)
        await self.desk.land()
        await self._reread(changed)
        # Only now, after issues that left the lists have been read.
        for advance in self._read_lists:
            self.desk.then(advance)
        for key in self._read_at.keys() - self._failed:
            self.desk.covered(key, KIND, self._read_at[key])
        await self.desk.land()
        if not self._failed:
            self.desk.select(_FORGET, KIND, list(self._read_at))

    async def _see(
        self, name: str, label: str, answer: Answer, alias: str, changed: dict[str, str]
    ) -> None:
        """Compare GitHub's list with the loaded state; read the list if it differs."""
        node: dict[str, Any] = answer.data.get(alias) or {}
        page = node.get("page")
        if not page:
            self._note_away(name, answer, alias)
            return
        key, nodes = node["id"], page["nodes"] or []
        newest = f"{nodes[0]['id']} {nodes[0]['updatedAt']}" if nodes and nodes[0] else None
        shown = Shown(count=page["totalCount"], newest=newest)
        delivered = self.desk.delivered(key)
        if former := delivered.incidents.keys() - set(self.rules.labels if self.rules else ()):
            # Issues that only have a label that is no longer configured are read again by id.
            changed[key] = node["nameWithOwner"]
            for name_of_label in former:
                del delivered.incidents[name_of_label]
        before = delivered.incidents.get(label)
        is_quiet = before == shown and not self.desk.stream.config.refresh
        if not is_quiet:
            changed[key] = node["nameWithOwner"]
            if not await self._read(key, node["nameWithOwner"], label, shown):
                self._failed.add(key)
        self._read_at[key] = answer.at

    async def _read(self, key: str, name: str, label: str, shown: Shown) -> bool:
        """Read the list of a label to its end; return whether that succeeded."""
        cursor: str | None = None
        in_vain = 0
        while True:
            asked = {"ids": [key], "after": cursor, "label": label}
            try:
                answer = await self.desk.github.query("incidents", asked)
            except Unanswerable as error:
                self._unclear(name, str(error))
                return False
            connection: dict[str, Any] = (answer.data["nodes"][0] or {}).get("page") or {}
            nodes = connection.get("nodes")
            if nodes is None or any(node is None for node in nodes):
                in_vain += 1
                if in_vain < TRIES:
                    continue
                error_there = answer.error_about("nodes", 0) or {}
                self._unclear(name, str(error_there.get("message", "GitHub returned null for it")))
                return False
            in_vain = 0
            for node in nodes:
                self._put(key, name, node, listed_by=label)
            info = PageInfo.model_validate(connection["pageInfo"])
            await self.desk.land_if_due()
            if not info.has_next_page or info.end_cursor in {None, cursor}:
                break
            cursor = info.end_cursor
        incidents = self.desk.delivered(key).incidents
        self._read_lists.append(partial(incidents.__setitem__, label, shown))
        return True

    def _put(self, key: str, name: str, node: Any, listed_by: str | None = None) -> bool:
        """Add an issue to the rows to load if it is an incident; return whether it is."""
        try:
            issue = Issue.model_validate(node)
            is_incident = issue.is_incident(self.labels, listed_by)
        except ValidationError as invalid:
            fault = invalid.errors()[0]
            reason = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            self.desk.fail("incident", str(node.get("id")), key, reason)
            return True
        except ValueError as error:
            self.desk.fail("incident", issue.id, key, str(error))
            return True
        self.desk.failures.resolve("incident", [issue.id], self.desk.now)
        if not is_incident:
            return False
        row = issue.row(name, is_deployed=key in self.deployed)
        self.desk.put("incidents", "source,id", [row])
        return True

    async def _reread(self, changed: dict[str, str]) -> None:
        """Read by id the issues of changed lists, and once a day every open one."""
        now = self.desk.now
        done = self.desk.known.rounds.get(KIND, Round())
        is_due = done.done_at is None or now >= done.done_at + DAY
        names = {name.casefold() for name in changed.values()}
        query = _OPEN if is_due and not changed else _IDS
        ids = [
            key
            for key, url in self.desk.select(query, GITHUB)
            if is_due or any(f"/{name}/issues/" in url.casefold() for name in names)
        ]
        if changed or (is_due and done.done_at is not None):
            await self._fetch(ids)
        if is_due:
            self.desk.known.rounds[KIND] = Round(done_at=now)

    async def _fetch(self, ids: list[str]) -> None:
        gone: list[str] = []
        async for part, answer in in_parts(self.desk.github, "issues", ids):
            if isinstance(answer, Unanswerable):
                continue
            for index, (key, node) in enumerate(zip(part, answer.data["nodes"], strict=True)):
                error = answer.error_about("nodes", index) or {}
                if node is None and error.get("type") == "NOT_FOUND":
                    gone.append(key)
                elif node and not error:
                    repository = node["repository"]
                    name = repository["nameWithOwner"]
                    if not self._put(repository["id"], name, node):
                        gone.append(key)
        await self.desk.land()
        await self._delete(gone)

    async def _delete(self, ids: list[str]) -> None:
        if ids:
            self.desk.select(_DELETE, GITHUB, ids)

    def _note_away(self, name: str, answer: Answer, alias: str) -> None:
        error = answer.error_about(alias) or {}
        message = str(error.get("message", "GitHub returned nothing for it"))
        key = self._key(name)
        self._failed.add(key)
        if error.get("type") in REFUSED and error.get("path") != [alias]:
            self.desk.refused(key, KIND, message)
        elif key not in self.deployed or error.get("type") not in {"NOT_FOUND", *REFUSED}:
            # An ingested repository is already reported as unreachable.
            self._unclear(name, message)

    def _key(self, name: str) -> str:
        """Return a repository's id, or its name if the id is unknown."""
        ids = {known: key for key, known in self.deployed.items()}
        return ids.get(name.casefold(), name)

    def _unclear(self, name: str, reason: str) -> None:
        self.desk.unclear(self._key(name), KIND, reason)


async def replace_file(desk: LoadContext, incidents: Iterable[Incident] | None) -> None:
    """Load a file's incidents; delete those that it no longer contains."""
    held = list(incidents or ())
    sources = sources_in(held)
    former = set(desk.known.incident_sources)
    if not sources and not former:
        return
    rows = [incident.row() for incident in held]
    before = {
        (row["source"], row["id"]): row
        for row in desk.select_rows(
            """
            select source, id, title, url, severity, started_at, resolved_at, repository, target,
                deployment_id, commit_sha, pull_request, caused_by_change, fixed_by
            from raw.incidents
            where source = any(%s)
            """,
            sorted(sources | former),
        )
    }
    changed = [row for row in rows if before.get((row["source"], row["id"])) != row]
    desk.put("incidents", "source,id", changed)
    desk.known.incident_sources = sorted(sources | former)
    await desk.land()
    if before.keys() - {(row["source"], row["id"]) for row in rows}:
        keys = [f"{row['source']} {row['id']}" for row in rows]
        desk.select(_OTHERS, sorted(sources | former), keys)
    desk.known.incident_sources = sorted(sources)


def _render(asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    subjects: list[tuple[str, str]] = asked["ids"]
    variables: dict[str, Any] = {}
    for index, (name, label) in enumerate(subjects):
        variables[f"owner{index}"], variables[f"name{index}"] = name.split("/", 1)
        variables[f"label{index}"] = label
    return incident_probe_document(len(subjects)), variables
