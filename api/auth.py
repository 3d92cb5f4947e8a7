"""Authentication by API key, authorisation by team, and a limit on bad keys."""

import ipaddress
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Annotated, LiteralString
from urllib.parse import urlsplit

from fastapi import Depends, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader

from api.database import FromMarts, Marts
from api.middleware import get_logger, read_by
from api.problems import ProblemError
from dora.api_keys import ApiKey, find_key, parse_keys
from dora.errors import DoraError

logger = get_logger(__name__)

KeySource = Callable[[], str | None]
"""Returns the text of `API_KEYS`; None if no keys are configured."""

REREAD_SECONDS = 60.0
BAD_KEYS = 10
BAD_KEY_SECONDS = 60.0
MAX_ADDRESSES = 10_000

LOOPBACK = ApiKey(name="loopback", sha256="", teams=None)
_CHALLENGE = {"WWW-Authenticate": 'ApiKey realm="dora-metrics"'}

api_key_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="A key made by `dora keys new`."
)


class KeyRing:
    """The API keys, read again at most once a minute, so that they can be replaced.

    If a later read fails or finds malformed keys, the error is logged and the previous keys remain
    valid. If the first read fails, `DoraError` is raised.
    """

    def __init__(self, source: KeySource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: list[ApiKey] | None = None
        self._read_at: float | None = None

    def current(self) -> list[ApiKey] | None:
        """Return the valid keys; None if no keys are configured."""
        with self._lock:
            if self.is_due():
                self._read(self._clock())
            return self._keys

    def is_due(self) -> bool:
        """Whether the next call of `current` reads the source, which may be slow."""
        return self._read_at is None or self._clock() - self._read_at >= REREAD_SECONDS

    def _read(self, now: float) -> None:
        try:
            text = self._source()
            self._keys = None if text is None else parse_keys(text)
        except DoraError as error:
            if self._read_at is None:
                raise
            logger.error("The API keys were not reloaded, the previous ones stay valid: %s", error)
        self._read_at = now


class BadKeys:
    """Counts the bad keys from each client address in the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, deque[float]] = {}

    def wait_seconds(self, address: str) -> int:
        """Return the whole seconds until the address may try a key again; 0 if it may now."""
        with self._lock:
            seen = self._recent(address)
            if len(seen) < BAD_KEYS:
                return 0
            return math.ceil(seen[-BAD_KEYS] + BAD_KEY_SECONDS - self._clock())

    def count(self, address: str) -> None:
        with self._lock:
            seen = self._recent(address)
            seen.append(self._clock())
            # Move it to the end, so that the least recently seen address is dropped first.
            self._seen.pop(address, None)
            self._seen[address] = seen
            if len(self._seen) > MAX_ADDRESSES:
                del self._seen[next(iter(self._seen))]

    def _recent(self, address: str) -> deque[float]:
        seen = self._seen.get(address, deque(maxlen=BAD_KEYS))
        while seen and self._clock() - seen[0] >= BAD_KEY_SECONDS:
            seen.popleft()
        return seen


class Access:
    """Authenticates requests: finds the key of a request, or raises a problem."""

    def __init__(self, keys: KeyRing, bad_keys: BadKeys) -> None:
        self.keys = keys
        self._bad_keys = bad_keys

    def key_of(self, request: Request, presented: str | None) -> ApiKey:
        """Return the API key of the request. Raises `ProblemError` 401 or 429."""
        keys = self.keys.current()
        if keys is None:
            return _without_keys(request)
        if not presented:
            raise ProblemError(401, "An API key is required in the X-API-Key header.", _CHALLENGE)
        # Accept a valid key before the limit is checked: a client with an outdated key must not
        # lock out others behind the same address. Guessing 256 random bits stays impossible.
        key = find_key(keys, presented)
        if key is not None:
            return key
        address = request.client.host if request.client else ""
        wait = self._bad_keys.wait_seconds(address)
        if wait:
            detail = f"Too many bad API keys from your address; try again in {wait} s."
            raise ProblemError(429, detail, {"Retry-After": str(wait)})
        self._bad_keys.count(address)
        logger.warning("An unknown API key came from %s", address)
        raise ProblemError(401, "The API key is unknown.", _CHALLENGE)


def _without_keys(request: Request) -> ApiKey:
    if not os.environ.get("AWS_LAMBDA_FUNCTION_NAME") and _is_local(request):
        return LOOPBACK
    detail = "No API keys are configured: only loopback requests are answered. Set API_KEYS."
    raise ProblemError(401, detail, _CHALLENGE)


def _is_local(request: Request) -> bool:
    """Whether a request comes from this machine and names it in `Host`.

    `Host` matters because a website may point its domain at 127.0.0.1 and send requests through
    the user's browser (DNS rebinding), and because a local proxy sends requests for others.
    """
    if request.client is None or not _is_loopback(request.client.host):
        return False
    try:
        name = urlsplit("//" + request.headers.get("host", "localhost")).hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


async def api_key(
    request: Request, presented: Annotated[str | None, Depends(api_key_header)]
) -> ApiKey:
    """Dependency: the API key of the request."""
    access: Access = request.app.state.access
    if access.keys.is_due():
        key = await run_in_threadpool(access.key_of, request, presented)
    else:
        key = access.key_of(request, presented)
    read_by(key.name)
    return key


TeamId = Annotated[
    str, Path(description="The `id` of a team or group, as listed by `/teams` and `/groups`.")
]
Reader = Annotated[ApiKey, Depends(api_key)]


# Each group, and whether its teams, at all times, are among these teams.
_GROUPS: LiteralString = """
select
    group_id,
    group_id <> 'all' and bool_and(team_id = any(%(teams)s::text[])) as may_be_read
from marts.dim_group_teams
group by group_id
"""


async def expect_reader_of(team_ids: Iterable[str], reader: ApiKey, marts: Marts) -> None:
    """Raise `ProblemError` 403 unless the key may read these teams and groups.

    They need not exist. A key for some teams may read a group if it may read all of its teams.
    """
    if reader.teams is None:
        return
    found = await run_in_threadpool(marts.rows, _GROUPS, {"teams": sorted(reader.teams)})
    groups = {row["group_id"]: row["may_be_read"] for row in found}
    for team_id in team_ids:
        # A key that names a team which has become a group is not a key for the group.
        if not groups.get(team_id, reader.may_read(team_id)):
            raise ProblemError(403, f"The API key {reader.name!r} may not read team {team_id!r}.")


async def team_reader(team_id: TeamId, reader: Reader, marts: FromMarts) -> None:
    """Dependency: the key must be allowed to read the team or group, whether or not it exists."""
    await expect_reader_of([team_id], reader, marts)
