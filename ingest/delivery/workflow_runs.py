"""Reads workflow runs from the REST API: GraphQL lists them only per commit.

A re-run keeps its id and `created_at` and hides the previous attempt. Lists are requested without a
filter: a filtered list ends after 1,000 runs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ValidationError

from ingest.delivery.checkpoint import Runs
from ingest.delivery.deployment_rules import DeploymentRule
from ingest.delivery.load_context import LoadContext
from ingest.github.checkpoint import OVERLAP
from ingest.github.errors import Refused, Unanswerable
from ingest.github.models import Row, Text

KIND = "workflow_runs"
PAGE = 100
DAY = timedelta(days=1)
# For 30 days a run may be run again, or wait for an approval.
YOUNG_FOR = timedelta(days=35)
_KNOWN = """
    select id, attempts, status, succeeded_at, run_started_at
    from raw.workflow_runs
    where id = any(%s)
"""
_OLDEST_OPEN = """
    select min(created_at)
    from raw.workflow_runs
    where
        repository_id = %s
        and workflow_path = %s
        and status <> 'completed'
        and vanished_at is null
        and created_at > %s
"""
_UNSEEN = """
    select id
    from raw.workflow_runs
    where
        repository_id = %s
        and workflow_path = %s
        and vanished_at is null
        and _dlt_load_id <= %s
        and created_at >= %s
"""
_VANISH = """
    update raw.workflow_runs
    set vanished_at = %s
    where id = any(%s) and vanished_at is null
    returning id
"""


class Run(BaseModel):
    """A workflow run, or one attempt of it, as the REST API returns it."""

    id: int
    name: Text | None = None
    path: Text
    head_branch: Text | None
    head_sha: str
    event: str
    status: str | None
    conclusion: str | None
    run_attempt: int = 1
    created_at: AwareDatetime
    run_started_at: AwareDatetime | None = None
    updated_at: AwareDatetime
    html_url: str

    def row(self, repository_id: str, workflow: str, first: "Run | None", known: Row | None) -> Row:
        """Return the row of `raw.workflow_runs`; `first` is its first successful attempt."""
        succeeded_at = first.updated_at if first else None
        started_at = (first or self).run_started_at
        if known and known["succeeded_at"]:
            succeeded_at, started_at = known["succeeded_at"], known["run_started_at"]
        return {
            "id": str(self.id),
            "repository_id": repository_id,
            "workflow": workflow,
            "workflow_path": self.path.partition("@")[0],
            "branch": self.head_branch,
            "event": self.event,
            "status": self.status,
            "conclusion": self.conclusion,
            "commit_sha": self.head_sha,
            "url": self.html_url,
            "created_at": self.created_at,
            "run_started_at": started_at,
            "updated_at": self.updated_at,
            "attempts": self.run_attempt,
            "succeeded_at": succeeded_at,
        }

    @property
    def is_success(self) -> bool:
        """Whether its conclusion is success."""
        return self.conclusion == "success"


class RunReader:
    """Reads the runs of the workflows that rules name."""

    def __init__(self, desk: LoadContext, before: str) -> None:
        self.desk = desk
        self.before = before

    async def follow(
        self, rules: Mapping[str, Sequence[DeploymentRule]], at: Mapping[str, datetime]
    ) -> None:
        """Bring these repositories' runs up to date."""
        for key, of_repository in rules.items():
            names = {rule.workflow for rule in of_repository if rule.workflow}
            try:
                for workflow in await self._workflows(key, names):
                    await self._follow(key, workflow)
            except Refused as error:
                self.desk.refused(key, KIND, str(error))
            except Unanswerable as error:
                self.desk.unclear(key, KIND, str(error))
            except ValidationError as error:
                fault = error.errors()[0]
                self.desk.unclear(key, KIND, f"{fault['loc']}: {fault['msg']}")
            else:
                self.desk.covered(key, KIND, at[key])
            await self.desk.land_if_due()
        await self.desk.land()

    def _path(self, key: str, *rest: object) -> str:
        return "/".join((f"/repos/{quote(self.desk.name(key))}/actions", *map(str, rest)))

    async def _workflows(self, key: str, names: set[str]) -> list[dict[str, Any]]:
        """Return the workflows whose name, path or file name is one of these."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            asked = {"per_page": PAGE, "page": page}
            answer = await self.desk.github.get(self._path(key, "workflows"), asked)
            if answer is None:
                raise Refused("HTTP 404")
            found += answer["workflows"]
            if len(answer["workflows"]) < PAGE:
                break
            page += 1
        return [
            each
            for each in found
            if names & {each["name"], each["path"], each["path"].rpartition("/")[2]}
        ]

    async def _follow(self, key: str, workflow: dict[str, Any]) -> None:
        state = self.desk.delivered(key).runs.get(str(workflow["id"]), Runs())
        now = self.desk.now
        is_reread = state.reread_at is not None and now >= state.reread_at + DAY
        floor = self._floor(key, workflow["path"], state, is_reread=is_reread)
        newest = state.watermark
        page = 1
        while True:
            path = self._path(key, "workflows", workflow["id"], "runs")
            answer = await self.desk.github.get(path, {"per_page": PAGE, "page": page})
            runs = [Run.model_validate(run) for run in (answer or {}).get("workflow_runs", ())]
            await self._put(key, workflow["name"], runs)
            await self.desk.land_if_due()
            newest = max(filter(None, [newest, *(run.created_at for run in runs)]), default=None)
            is_below = floor is not None and any(run.created_at < floor for run in runs)
            if len(runs) < PAGE or is_below:
                break
            page += 1
        if is_reread and floor is not None:
            await self._vanish(key, workflow["path"], floor)
        since = self.desk.stream.config.since
        is_whole = state.watermark is None or (since and floor == since)
        update = {
            "watermark": newest,
            "covered_from": floor if is_whole else state.covered_from,
            "reread_at": now if is_reread or state.reread_at is None else state.reread_at,
        }
        self.desk.then(
            partial(self._advance, key, str(workflow["id"]), state.model_copy(update=update))
        )

    def _advance(self, key: str, workflow_id: str, state: Runs) -> None:
        self.desk.delivered(key).runs[workflow_id] = state

    def _floor(self, key: str, path: str, state: Runs, *, is_reread: bool) -> datetime | None:
        """Return the oldest `created_at` to list runs down to; None for all."""
        config = self.desk.stream.config
        covered = state.covered_from
        is_to_extend = config.since and covered and config.since < covered
        if state.watermark is None or config.refresh or is_to_extend:
            return config.since or (covered if config.refresh else None)
        young = self.desk.now - YOUNG_FOR
        if is_reread:
            return min(young, state.watermark - OVERLAP)
        oldest: datetime | None = self.desk.select(_OLDEST_OPEN, key, path, young)[0][0]
        return min(filter(None, [state.watermark - OVERLAP, oldest]))

    async def _put(self, key: str, workflow: str, runs: Sequence[Run]) -> None:
        ids = [str(run.id) for run in runs]
        known = {row["id"]: row for row in self.desk.select_rows(_KNOWN, ids)} if ids else {}
        for run in runs:
            before = known.get(str(run.id))
            first = await self._first_success(key, run, before)
            self.desk.put(KIND, "id", [run.row(key, workflow, first, before)])
            is_new = before is None or (first is not None and before["succeeded_at"] is None)
            if is_new:
                self.desk.need_commits(key)

    async def _first_success(self, key: str, run: Run, known: Row | None) -> Run | None:
        """Return the first successful attempt, if there is one."""
        if known and known["succeeded_at"]:
            return None
        # The number of attempts that are known to have ended without success.
        seen = 0
        if known and known["attempts"]:
            seen = known["attempts"] - (known["status"] != "completed")
        for number in range(seen + 1, run.run_attempt):
            answer = await self.desk.github.get(self._path(key, "runs", run.id, "attempts", number))
            if answer is not None and (attempt := Run.model_validate(answer)).is_success:
                return attempt
        return run if run.is_success else None

    async def _vanish(self, key: str, path: str, floor: datetime) -> None:
        """Mark runs as vanished if the list no longer shows them and GitHub does not find them."""
        await self.desk.land()
        gone = []
        for (run_id,) in self.desk.select(_UNSEEN, key, path, self.before, floor):
            if await self.desk.github.get(self._path(key, "runs", run_id)) is None:
                gone.append(run_id)
        if gone:
            self.desk.select(_VANISH, self.desk.now, gone)
