"""GitHub's GraphQL API over HTTP: every wait and every retry of the product is in this file.

Limits: https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

import asyncio
import email.utils
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from dora.errors import ConfigurationError
from ingest.clock import Budget, Clock
from ingest.github.errors import (
    BudgetSpent,
    GitHubAway,
    RateLimited,
    RateLimitReached,
    TokenRefused,
    Transient,
)
from ingest.github.queries import document

logger = logging.getLogger(__name__)

# GitHub meters processing time: one or two streams already fill what it gives to one token.
IN_FLIGHT = 2
ATTEMPTS = 7
# Points of the hourly quota that are left to the token's other users.
RESERVE = 100
# A request is ended by GitHub after 10 s; a little more for the way.
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
SECONDARY_WAIT = 60.0
_BACKOFF = wait_random_exponential(multiplier=1, max=60)
_RATE_LIMITS = {"RATE_LIMITED", "RATE_LIMIT"}
_SCOPES = "INSUFFICIENT_SCOPES"
_TOO_BIG = {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"}


class PageSize:
    """How many objects to ask for at once: halves when GitHub cannot, grows back by good pages."""

    def __init__(self, most: int, least: int = 1) -> None:
        self.most, self.least, self.now = most, least, most

    def shrink(self) -> None:
        """Halve, down to the least."""
        self.now = max(self.least, self.now // 2)

    def grow(self) -> None:
        """Grow by a quarter, up to the most."""
        self.now = min(self.most, self.now + max(1, self.now // 4))


@dataclass
class Usage:
    """What a run cost GitHub: requests, points of the quota, bytes of the answers' bodies.

    `remaining` points are left until `reset_at`, which is by our clock; `errors` counts by kind
    what was asked again.
    """

    requests: int = 0
    points: int = 0
    response_bytes: int = 0
    remaining: int | None = None
    reset_at: datetime | None = None
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Answer:
    """The data of one request, the errors beside it and, by GitHub's clock, when it was asked."""

    data: dict[str, Any]
    errors: list[dict[str, Any]]
    at: datetime

    def error_at(self, *path: str | int) -> dict[str, Any] | None:
        """Return the error that GitHub gives for this path, if there is one."""
        return next((error for error in self.errors if error.get("path") == list(path)), None)


@dataclass
class GitHub:
    """A connection to GitHub; an async context manager.

    `url` is the address of the REST API (`https://api.github.com`, or `https://HOST/api/v3`).
    """

    url: str
    auth: httpx.Auth
    clock: Clock
    budget: Budget
    usage: Usage = field(default_factory=Usage)
    reserve: int = RESERVE
    transport: httpx.AsyncBaseTransport | None = None

    async def __aenter__(self) -> Self:
        self._streams = asyncio.Semaphore(IN_FLIGHT)
        self._http = httpx.AsyncClient(
            auth=self.auth,
            timeout=TIMEOUT,
            transport=self.transport,
            headers={"User-Agent": "dora-metrics", "Accept": "application/json"},
            limits=httpx.Limits(max_connections=IN_FLIGHT),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    @property
    def graphql_url(self) -> str:
        """The GraphQL address that belongs to `url`."""
        return self.url.removesuffix("/v3") + "/graphql"

    async def query(
        self,
        name: str,
        variables: Mapping[str, Any],
        *,
        text: str | None = None,
        size: PageSize | None = None,
    ) -> Answer:
        """Ask `queries/NAME.graphql` (or `text`), as often as it takes.

        With `size`, the variable `first` follows it, and a question that is too big for GitHub is
        asked again with a smaller one. Raises `GitHubAway`, `TokenRefused`, `RateLimitReached` or
        `BudgetSpent`.
        """

        async def ask() -> Answer:
            asked = {**variables, "first": size.now} if size else dict(variables)
            await self._wait_for_quota()
            try:
                answer = await self._send(text or document(name), asked)
            except Transient as error:
                self.usage.errors[error.kind] += 1
                if size and error.too_big:
                    size.shrink()
                raise
            if size:
                size.grow()
            return answer

        return await self._retried(name, ask)

    async def _retried(self, name: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            retry=retry_if_exception_type(Transient),
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        try:
            async with self._streams:
                return await retrying(ask)
        except RateLimited as error:
            wait = timedelta(seconds=error.wait or SECONDARY_WAIT)
            raise RateLimitReached(self.clock.now() + wait) from error
        except Transient as error:
            raise GitHubAway(
                f"GitHub at {self.url} did not answer {name} after {ATTEMPTS} attempts: {error}"
            ) from error

    async def _sleep(self, seconds: float) -> None:
        if not self.budget.allows(seconds):
            raise RateLimitReached(self.clock.now() + timedelta(seconds=seconds))
        await self.clock.sleep(seconds)

    async def _wait_for_quota(self) -> None:
        if not self.budget.allows():
            raise BudgetSpent
        usage = self.usage
        if usage.remaining is None or usage.reset_at is None or usage.remaining > self.reserve:
            return
        wait = (usage.reset_at - self.clock.now()).total_seconds()
        if wait > 0:
            logger.warning("rate limit: %d points left, waiting %.0f s", usage.remaining, wait)
            await self._sleep(wait)
        usage.remaining = None

    async def _send(self, text: str, variables: dict[str, Any]) -> Answer:
        self.usage.requests += 1
        try:
            response = await self._http.post(
                self.graphql_url, json={"query": text, "variables": variables}
            )
        except httpx.TimeoutException as error:
            raise Transient(_reason(error), kind="timeout", too_big=True) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL):
            # Their words may quote a header, and so the token.
            raise ConfigurationError(
                f"GitHub at {self.url} cannot be asked: look at GITHUB_API_URL and the token"
            ) from None
        except httpx.HTTPError as error:
            raise Transient(_reason(error), kind="network") from error
        self.usage.response_bytes += len(response.content)
        self._note_quota(response.headers)
        _refuse_bad_status(response, self.clock.now())
        try:
            body = response.json()
        except ValueError as error:
            raise Transient("an answer that is no JSON", kind="body") from error
        return self._answer(body, response)

    def _answer(self, body: Any, response: httpx.Response) -> Answer:
        if not isinstance(body, dict):
            raise Transient("an answer that is no JSON object", kind="body")
        errors = body.get("errors") or []
        types = {error.get("type") for error in errors}
        if types & _RATE_LIMITS:
            raise RateLimited("rate limit", wait=_limit_wait(response.headers, self.clock.now()))
        if types & _TOO_BIG:
            raise Transient(str(errors[0].get("message")), kind="too_big", too_big=True)
        if _SCOPES in types and not body.get("data"):
            raise TokenRefused(f"GitHub refused the token: {errors[0].get('message')}")
        data = body.get("data")
        if not isinstance(data, dict):
            message = errors[0].get("message") if errors else body.get("message", "no data")
            raise Transient(str(message), kind="no_data", too_big=True)
        if quota := data.get("rateLimit"):
            self.usage.points += quota["cost"]
        at = _date(response.headers) or self.clock.now()
        began = at - timedelta(seconds=round(response.elapsed.total_seconds()))
        return Answer(data=data, errors=errors, at=began)

    def _note_quota(self, headers: httpx.Headers) -> None:
        if headers.get("x-ratelimit-resource", "graphql") != "graphql":
            return
        if remaining := headers.get("x-ratelimit-remaining"):
            self.usage.remaining = int(remaining)
        if reset := headers.get("x-ratelimit-reset"):
            now = self.clock.now()
            wait = datetime.fromtimestamp(int(reset), UTC) - (_date(headers) or now)
            self.usage.reset_at = now + wait


def _refuse_bad_status(response: httpx.Response, now: datetime) -> None:
    status = response.status_code
    if status == httpx.codes.OK:
        return
    message = _message(response)
    if status == httpx.codes.UNAUTHORIZED:
        raise TokenRefused(f"GitHub refused the token: {message}")
    if status in {httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS}:
        headers = response.headers
        limited = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
        if limited or status == httpx.codes.TOO_MANY_REQUESTS or "rate limit" in message.lower():
            raise RateLimited(f"rate limit: {message}", wait=_limit_wait(headers, now))
        raise TokenRefused(f"GitHub forbids the token what it is asked for: {message}")
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        too_big = status in {httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT}
        raise Transient(f"HTTP {status}", kind="http_5xx", too_big=too_big)
    raise GitHubAway(f"GitHub at {response.url} answered HTTP {status}: {message}")


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _limit_wait(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds that GitHub asks to wait: Retry-After, else the reset where nothing remains."""
    if (after := headers.get("retry-after", "")).isdecimal():
        return float(after)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(1.0, float(reset) - now.timestamp())
    return None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Transient) and error.wait is not None:
        return error.wait
    if isinstance(error, RateLimited):
        return float(SECONDARY_WAIT * 2 ** (state.attempt_number - 1))
    return float(_BACKOFF(state))


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0.0
    logger.warning("GitHub: %s; attempt %d, again in %.1f s", error, state.attempt_number, wait)


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _date(headers: httpx.Headers) -> datetime | None:
    """GitHub's own time from the `Date` header: what is covered is told by its clock, not ours."""
    try:
        return email.utils.parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
