"""What a digest says: a week of a team or a group, all of it read from our API in this process."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
from fastapi import FastAPI

from api.routes.delivery import DeliveryWeek
from api.routes.open_pull_requests import OpenPullRequest, OpenPullRequests, OpenSummary
from api.routes.pull_requests import MergedPullRequest
from api.routes.trends import Trend, Trends
from api.schemas import Team
from dora.errors import ConfigurationError, DoraError, UnavailableError

# The group that contains every team.
ALL = "all"
SLOWEST = OLDEST = 3
_ADDRESS = "127.0.0.1"
_PAGE = 1000
_ATTEMPTS = 3


@dataclass(frozen=True)
class Digest:
    """A week of a team or a group. `week` is the last one that was over at `as_of`."""

    team: Team
    is_group: bool
    week: date
    as_of: datetime
    changes: list[Trend]
    """Clear changes, worst first; one per team and metric."""
    quiet: list[str]
    """Names of the teams without a clear change."""
    merged: int
    slowest: list[MergedPullRequest]
    open: OpenSummary
    oldest: list[OpenPullRequest]
    delivery: DeliveryWeek | None
    """None if deployments were not measured."""


class _AnotherBuildError(Exception):
    """A build was published between two requests."""


def read_digest(app: FastAPI, team_id: str = ALL) -> Digest:
    """Read the digest of a team or a group.

    `app` must have no API keys. Raise `ConfigurationError` for an unknown team, and
    `UnavailableError` if the marts cannot be read or have no complete week.
    """

    async def read() -> Digest:
        async with app.router.lifespan_context(app):
            for _ in range(_ATTEMPTS):
                try:
                    return await _Reader(app).digest(team_id)
                except _AnotherBuildError:
                    continue
        raise UnavailableError("builds are published faster than the digest can be read: try again")

    return asyncio.run(read())


class _Reader:
    """Reads from the API; all answers have to be about the same `as_of`."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._as_of: str | None = None

    async def digest(self, team_id: str) -> Digest:
        path = f"/metrics/team/{quote(team_id, safe='')}"
        found = await self._get(f"{path}/pull-requests", state="open", limit=str(OLDEST))
        opened = OpenPullRequests.model_validate(found)
        if opened.as_of is None:
            raise UnavailableError("no repository is loaded completely yet: run `dora run` again")
        week = last_week(opened.as_of, opened.reporting_timezone)
        days = {"from": str(week), "to": str(week + timedelta(6))}
        # No row: nobody is in the team any more. A later first row: nothing of the week is loaded.
        loaded = (await self._get(f"{path}/velocity", **{"from": str(week)}))["data"]
        if loaded and not (loaded[0]["week"] == str(week) and loaded[0]["is_complete"]):
            raise UnavailableError(f"the week of {week} is not loaded completely yet: run again")
        merged = [row async for row in self._merged(f"{path}/pull-requests", days)]
        weeks = (await self._get(f"{path}/delivery", **days))["data"]
        measured = [DeliveryWeek.model_validate(row) for row in weeks]
        names = await self._names(team_id)
        trends = Trends.model_validate(await self._get("/metrics/trends")).data
        changes = _changes(trend for trend in trends if trend.team_id in names)
        changed = {each.team_id for each in changes}
        return Digest(
            team=opened.team,
            is_group=set(names) != {team_id},
            week=week,
            as_of=opened.as_of,
            changes=changes,
            quiet=sorted(name for each, name in names.items() if each not in changed),
            merged=len(merged),
            slowest=sorted(merged, key=lambda row: row.cycle_time_hours or 0, reverse=True)[
                :SLOWEST
            ],
            open=opened.summary,
            oldest=opened.data,
            delivery=next((row for row in measured if row.deployments is not None), None),
        )

    async def _merged(self, path: str, days: Mapping[str, str]) -> AsyncIterator[MergedPullRequest]:
        asked = {**days, "limit": str(_PAGE)}
        while True:
            page = await self._get(path, **asked)
            for row in page["data"]:
                yield MergedPullRequest.model_validate(row)
            if "next_cursor" not in page:
                return
            asked["cursor"] = page["next_cursor"]

    async def _names(self, team_id: str) -> dict[str, str]:
        """Return the names of the team, or of the teams in the group, by their ids."""
        names = {each["id"]: each["name"] for each in (await self._get("/teams"))["data"]}
        groups = {each["id"]: each["teams"] for each in (await self._get("/groups"))["data"]}
        return {each: names[each] for each in groups.get(team_id, [team_id]) if each in names}

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        # A client on this machine needs no key if the app has none.
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False, client=(_ADDRESS, 0))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{_ADDRESS}") as client:
            response = await client.get(path, params=query)
        answer: dict[str, Any] = response.json()
        if response.status_code != httpx.codes.OK:
            raise _error(response.status_code, answer["detail"])
        if self._as_of not in (None, answer["as_of"]):
            raise _AnotherBuildError
        self._as_of = answer["as_of"]
        return answer


def last_week(as_of: datetime, timezone: str) -> date:
    """Return the Monday of the last week that was over at `as_of`, in the reporting timezone."""
    day = as_of.astimezone(ZoneInfo(timezone)).date()
    return day - timedelta(day.weekday() + 7)


def _changes(trends: Iterable[Trend]) -> list[Trend]:
    """Return the clear changes; of two about a metric of a team, the first, which is the worst."""
    found: dict[tuple[str, str], Trend] = {}
    for trend in trends:
        if trend.verdict in {"worse", "better"}:
            found.setdefault((trend.team_id, trend.metric), trend)
    return list(found.values())


def _error(status: int, detail: str) -> DoraError:
    return UnavailableError(detail) if status >= 500 else ConfigurationError(detail)
