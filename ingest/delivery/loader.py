"""Loads the data that each repository's rules need: lists, single objects, commits, incidents."""

import hashlib
import json
from collections.abc import Iterable, Sequence

from dora.database import Database
from ingest.delivery.by_id import ById, Subject
from ingest.delivery.commits import CommitWalker
from ingest.delivery.deployment_rules import DeploymentRule, rules_for, sources_of
from ingest.delivery.incidents import IncidentReader, replace_file
from ingest.delivery.listings import Lister
from ingest.delivery.load_context import LoadContext
from ingest.delivery.pull_request_files import FileReader
from ingest.delivery.refetch import read_again
from ingest.delivery.workflow_runs import RunReader
from ingest.fetch_and_load import FetchAndLoad
from ingest.github.deliveries import KINDS, Kind
from ingest.github.models import Probed
from ingest.github.newest_deliveries import Listed

# The permission that each kind needs.
PERMISSIONS = {
    "deployments": "Deployments: read",
    "releases": "Contents: read",
    "tags": "Contents: read",
    "commits": "Contents: read",
    "workflow_runs": "Actions: read",
    "incidents": "Issues: read",
    "pull_request_files": "Pull requests: read",
}
_DEPLOYED = """
    select distinct repository_id, commit_sha, environment, original_environment
    from raw.deployments
    where repository_id = any(%s) and commit_sha is not null
"""
_RELEASED = """
    select distinct repository_id, commit_sha, tag
    from raw.releases
    where repository_id = any(%s) and commit_sha is not null and not is_draft
"""
_TAGGED = """
    select distinct repository_id, commit_sha, tag
    from raw.tags
    where repository_id = any(%s) and commit_sha is not null
"""
_RUN = """
    select distinct repository_id, commit_sha, branch
    from raw.workflow_runs
    where repository_id = any(%s) and commit_sha is not null and succeeded_at is not null
"""


class Deliveries:
    """The part of a run that loads deliveries."""

    def __init__(self, stream: FetchAndLoad, database: Database, seen: dict[str, Probed]) -> None:
        self.stream = stream
        self.database = database
        self.known = stream.known
        self.seen = seen
        self.listed = Listed()

    def want_known(self) -> None:
        """Make the first probes request the lists of known repositories."""
        only = self.stream.config.only
        for key, row in self.known.repositories.items():
            if row.is_configured and (not only or row.repository.casefold() in only):
                self._want(key, row.repository)

    def want_seen(self) -> None:
        """Make the next probes request the lists of new repositories."""
        for key, probed in self.seen.items():
            self._want(key, probed.repository)

    def _want(self, key: str, name: str) -> None:
        sources = sources_of(self._rules(name))
        self.listed.want(key, [kind for kind in KINDS if kind in sources])

    def _rules(self, name: str) -> list[DeploymentRule]:
        return rules_for(self.stream.config.deployments, name)

    async def load(self) -> dict[str, str]:
        """Load everything; report at the end what could not be read.

        Returns pull requests that GitHub no longer shows, with their repositories.
        """
        self.want_seen()
        while self.listed.is_waiting:
            asked = {"ids": [], **self.listed.variables()}
            self.listed.read(await self.stream.walker.github.query("probe", asked))
        desk = LoadContext(self.stream, self.database)
        by_id = ById(desk)
        before = desk.last_load()
        try:
            for kind in KINDS:
                keys = [key for key in self._within_reach() if self._needs(key, kind)]
                await Lister(desk, by_id, self.listed, kind).follow(keys)
            await read_again(desk, by_id, self._is_wanted, before)
            await self._follow_runs(desk, before)
            await self._follow_commits(desk)
            await self._follow_incidents(desk)
            return await self._follow_files(desk)
        finally:
            desk.close()
            await desk.land()
            desk.tell(PERMISSIONS)

    def _within_reach(self) -> list[str]:
        lost = self.stream.walker.lost
        return [key for key in self.seen if key not in lost]

    def _needs(self, key: str, kind: str) -> bool:
        return kind in sources_of(self._rules(self.seen[key].repository))

    def _is_wanted(self, subject: Subject) -> bool:
        kind, key = subject
        is_within_reach = key in self.seen and key not in self.stream.walker.lost
        return is_within_reach and self._needs(key, kind)

    async def _follow_runs(self, desk: LoadContext, before: str) -> None:
        rules = {
            key: self._rules(self.seen[key].repository)
            for key in self._within_reach()
            if self._needs(key, "workflow")
        }
        at = {key: self.seen[key].at for key in rules}
        await RunReader(desk, before).follow(rules, at)

    async def _follow_commits(self, desk: LoadContext) -> None:
        """Read the commit graphs of repositories that changed or whose rules changed."""
        due: dict[str, str] = {}
        for key in self._within_reach():
            delivered, probed = desk.delivered(key), self.seen[key]
            hashed = _hash(self._rules(probed.repository))
            is_behind = delivered.is_whole and delivered.tip != probed.tip
            if delivered.is_due or is_behind or delivered.history or delivered.rules != hashed:
                due[key] = hashed
        tips = self._tips(desk, due)
        wanted = {
            key: (self.seen[key].tip, tips.get(key, set()))
            for key in due
            if tips.get(key) or self._needs(key, "merges") or desk.delivered(key).is_whole
        }
        at = {key: self.seen[key].at for key in self._within_reach()}
        broken = await CommitWalker(desk).follow(wanted, at) if wanted else set()
        for key in at.keys() - wanted.keys():
            # No commits are needed: nothing changed, or nothing was deployed.
            desk.covered(key, "commits", at[key])
        for key in due.keys() - broken:
            delivered = desk.delivered(key)
            delivered.is_due, delivered.rules = False, due[key]

    async def _follow_incidents(self, desk: LoadContext) -> None:
        config = self.stream.config
        await replace_file(desk, config.incidents_of_file)
        names = {
            row.id: row.repository for row in self.known.repositories.values() if row.is_configured
        }
        rules = config.incidents
        if rules is None and not self.known.rounds.get("incidents"):
            return
        if rules is not None and rules.repositories:
            wanted = list(rules.repositories)
        else:
            wanted = [self.seen[key].repository for key in self._within_reach()]
        reader = IncidentReader(desk, rules, {key: name.casefold() for key, name in names.items()})
        await reader.follow(wanted)

    async def _follow_files(self, desk: LoadContext) -> dict[str, str]:
        """Read the files of pull requests where a rule has `paths`; return the deleted ones."""
        at = {
            key: self.seen[key].at
            for key in self._within_reach()
            if any(rule.paths for rule in self._rules(self.seen[key].repository))
        }
        reader = FileReader(desk)
        if at:
            await reader.follow(at)
        return reader.gone

    def _tips(self, desk: LoadContext, keys: Iterable[str]) -> dict[str, set[str]]:
        """Return the commits of everything that a rule counts as a deployment."""
        tips: dict[str, set[str]] = {}
        rules = {key: self._rules(self.seen[key].repository) for key in keys}
        ids = list(rules)
        if not ids:
            return tips
        for key, sha, environment, original in desk.select(_DEPLOYED, ids):
            if any(
                rule.source == "deployments" and rule.has_environment(environment, original)
                for rule in rules[key]
            ):
                tips.setdefault(key, set()).add(sha)
        queries: list[tuple[Kind, str]] = [("releases", _RELEASED), ("tags", _TAGGED)]
        for source, query in queries:
            for key, sha, tag in desk.select(query, ids):
                if any(rule.source == source and rule.has_tag(tag) for rule in rules[key]):
                    tips.setdefault(key, set()).add(sha)
        for key, sha, branch in desk.select(_RUN, ids):
            if any(
                rule.source == "workflow" and rule.branch in {None, branch} for rule in rules[key]
            ):
                tips.setdefault(key, set()).add(sha)
        return tips


def _hash(rules: Sequence[DeploymentRule]) -> str:
    values = [rule.value() for rule in rules]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
