"""GitHub's GraphQL API over HTTP: every wait and every retry of the product is in this file.

Limits: https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

import asyncio
import email.utils
import logging
import random
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx

from dora.errors import ConfigurationError
from ingest.clock import Budget, Clock
from ingest.github.errors import (
    BudgetSpent,
    GitHubAway,
    RateLimited,
    RateLimitReached,
    TokenRefused,
    Transient,
    Unanswerable,
)
from ingest.github.queries import document
from ingest.github.sizes import Sizes

logger = logging.getLogger(__name__)

# GitHub meters processing time: one or two streams already fill what it gives to one token.
IN_FLIGHT = 2
# How often a question is asked that gets no smaller.
ATTEMPTS = 7
# Questions in a row that GitHub, though it is there, may leave unanswered: more is an outage.
MOST_UNANSWERED = 8
# A request is ended by GitHub after 10 s; a little more for the way.
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
SECONDARY_WAIT = 60.0
LONGEST_BACKOFF = 60.0
_RATE_LIMITS = {"RATE_LIMITED", "RATE_LIMIT"}
_SCOPES = "INSUFFICIENT_SCOPES"
_TOO_BIG = {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"}
# A question's text and variables, made of the variables that it is asked with.
Render = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]


@dataclass
class Usage:
    """What a run cost GitHub: requests, points of the quota, bytes of the answers' bodies.

    `remaining` points are left until `reset_at`, which is by our clock; `dearest` is the most that
    one request cost. `errors` counts by kind what was asked again.
    """

    requests: int = 0
    points: int = 0
    dearest: int = 1
    response_bytes: int = 0
    remaining: int | None = None
    reset_at: datetime | None = None
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Answer:
    """The data of one request, the errors beside it and, by GitHub's clock, when it was asked.

    `asked` is for how many ids, where it was asked by ids.
    """

    data: dict[str, Any]
    errors: list[dict[str, Any]]
    at: datetime
    asked: int = 0

    def error_at(self, *path: str | int) -> dict[str, Any] | None:
        """Return the error that GitHub gives for this path, if there is one."""
        return next((error for error in self.errors if error.get("path") == list(path)), None)


@dataclass
class GitHub:
    """A connection to GitHub; an async context manager.

    `url` is the address of the REST API (`https://api.github.com`, or `https://HOST/api/v3`),
    `reserve` so many points of the hourly quota as are left to the token's other users.
    """

    url: str
    auth: httpx.Auth
    clock: Clock
    budget: Budget
    usage: Usage = field(default_factory=Usage)
    reserve: int = 0
    verify: ssl.SSLContext | bool = True

    def __post_init__(self) -> None:
        # Until when GitHub wants nothing asked; how many questions in a row it has not answered.
        self._not_before = datetime.fromtimestamp(0, UTC)
        self._unanswered = 0

    async def __aenter__(self) -> Self:
        self._streams = asyncio.Semaphore(IN_FLIGHT)
        self._http = httpx.AsyncClient(
            auth=self.auth,
            timeout=TIMEOUT,
            verify=self.verify,
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
        sizes: Sizes | None = None,
        render: Render | None = None,
    ) -> Answer:
        """Ask `queries/NAME.graphql`, or what `render` makes of it all, until it is answered.

        With `sizes` the variables follow these, and a question that is too big for GitHub is asked
        again smaller. Raises `Unanswerable` where GitHub is there but does not answer even the
        smallest, `GitHubAway`, `TokenRefused`, `RateLimitReached` or `BudgetSpent`.
        """
        in_vain = 0
        async with self._streams:
            while True:
                await self._wait_for_quota()
                asked = sizes.fitted(variables) if sizes else dict(variables)
                try:
                    answer = await self._send(*(render or _document_of(name))(asked))
                except Transient as error:
                    self.usage.errors[error.kind] += 1
                    is_smaller = error.too_big and sizes is not None and sizes.shrink()
                    in_vain = 0 if is_smaller else in_vain + 1
                    if in_vain == ATTEMPTS:
                        await self._give_up(name, error, sizes)
                        in_vain = 0
                    await self._wait_after(error, in_vain)
                    continue
                if sizes:
                    self._unanswered = 0
                    sizes.grow()
                return replace(answer, asked=len(asked.get("ids", ())))

    async def _give_up(self, name: str, error: Transient, sizes: Sizes | None) -> None:
        """Raise what there is to say of a question asked in vain, unless it may get smaller yet.

        GitHub may be away, or not answer just this question.
        """
        if isinstance(error, RateLimited):
            wait = timedelta(seconds=error.wait or SECONDARY_WAIT)
            raise RateLimitReached(self.clock.now() + wait) from error
        reason = f"GitHub at {self.url} did not answer {name} after {ATTEMPTS} attempts: {error}"
        if sizes is None or self._unanswered == MOST_UNANSWERED:
            raise GitHubAway(reason) from error
        try:
            await self._send(document("there"), {})
        except Transient:
            raise GitHubAway(reason) from error
        if not sizes.shrink_to_least():
            self._unanswered += 1
            raise Unanswerable(reason) from error

    async def _wait_after(self, error: Transient, in_vain: int) -> None:
        """Wait before a question is asked again; after a limit nobody asks anything meanwhile."""
        if isinstance(error, RateLimited):
            seconds = error.wait or SECONDARY_WAIT * 2 ** (in_vain - 1)
            until = self.clock.now() + timedelta(seconds=seconds)
            self._not_before = max(self._not_before, until)
            logger.warning("GitHub: %s", error)
            return
        seconds = random.uniform(0.0, min(LONGEST_BACKOFF, 2.0**in_vain))
        logger.warning("GitHub: %s; again in %.1f s", error, seconds)
        if not self.budget.allows(seconds):
            raise BudgetSpent
        await self.clock.sleep(seconds)

    async def _wait_for_quota(self) -> None:
        """Wait while GitHub wants nothing asked, or only the reserve is left of the points."""
        usage, now = self.usage, self.clock.now()
        # What is in flight at the same time may cost as much as the dearest so far.
        left = None if usage.remaining is None else usage.remaining - IN_FLIGHT * usage.dearest
        if left is not None and left < self.reserve and usage.reset_at:
            logger.warning("rate limit: %d points left", usage.remaining)
            self._not_before = max(self._not_before, usage.reset_at)
            usage.remaining = None
        wait = max(0.0, (self._not_before - now).total_seconds())
        if not self.budget.allows(wait):
            raise RateLimitReached(self._not_before) if wait else BudgetSpent
        if wait:
            logger.warning("GitHub wants nothing asked until %s", f"{self._not_before:%H:%M:%SZ}")
            await self.clock.sleep(wait)

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
            self.usage.dearest = max(self.usage.dearest, quota["cost"])
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


def _document_of(name: str) -> Render:
    return lambda variables: (document(name), variables)


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
        return max(1.0, float(reset) - (_date(headers) or now).timestamp())
    return None


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _date(headers: httpx.Headers) -> datetime | None:
    """GitHub's own time from the `Date` header: what is covered is told by its clock, not ours."""
    try:
        return email.utils.parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
