"""HTTP client for GitHub's GraphQL and REST APIs, with all waits and retries."""

import asyncio
import logging
import random
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

import httpx

from dora.errors import ConfigurationError
from ingest.clock import Budget, Clock
from ingest.github.adaptive_page_size import MOST, PageSizes
from ingest.github.errors import (
    BudgetSpent,
    GitHubUnavailable,
    RateLimited,
    RateLimitReached,
    Refused,
    TokenRefused,
    Transient,
    Unanswerable,
)
from ingest.github.network import password_required, proxy_variable
from ingest.github.queries import document
from ingest.github.responses import (
    Answer,
    Quota,
    message_of,
    read_answer,
    read_quota,
    refuse_bad_status,
)

logger = logging.getLogger(__name__)

# GitHub limits processing time: one or two streams already use up what one token gets.
IN_FLIGHT = 2
# Attempts per request, if it cannot be made smaller.
ATTEMPTS = 7
# More unanswered requests of one kind in a row count as an outage.
MOST_UNANSWERED = 8
# The kinds of requests whose gaps other requests fill.
COMPLETED = {"walk", "heads", "details"}
# GitHub stops a request after 10 s; the network may take longer.
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
LONGEST_REQUEST = 60.0
SECONDARY_WAIT = 60.0
LONGEST_BACKOFF = 60.0
E = TypeVar("E", bound=BaseException)
# Makes a request's document and variables from the given variables.
Render = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]


@dataclass
class Usage:
    """A run's use of GitHub: requests, points of the quota, bytes of response bodies.

    `remaining` points are left until `reset_at`, by our clock; `dearest` is the highest cost of one
    request, at least that of a full page. `errors` counts retried requests by kind.
    """

    requests: int = 0
    points: int = 0
    dearest: int = 2
    response_bytes: int = 0
    remaining: int | None = None
    reset_at: datetime | None = None
    errors: Counter[str] = field(default_factory=Counter)


@dataclass
class GitHub:
    """A connection to GitHub; an async context manager.

    `url` is the address of the REST API (`https://api.github.com`, or `https://HOST/api/v3`),
    `reserve` the points of the hourly quota to leave for the token's other users.
    """

    url: str
    auth: httpx.Auth
    clock: Clock
    budget: Budget
    usage: Usage = field(default_factory=Usage)
    reserve: int = 0
    verify: ssl.SSLContext | bool = True
    proxy: httpx.Proxy | None = None

    def __post_init__(self) -> None:
        self.sizes = {kind: PageSizes(most) for kind, most in MOST.items()}
        # GitHub accepts no requests before these instants.
        self._not_before = self._rest_not_before = datetime.fromtimestamp(0, UTC)

    async def __aenter__(self) -> Self:
        self._streams = asyncio.Semaphore(IN_FLIGHT)
        self._http = httpx.AsyncClient(
            auth=self.auth,
            timeout=TIMEOUT,
            verify=self.verify,
            # ingest/github/network.py reads proxies and authorities from the environment.
            proxy=self.proxy,
            trust_env=False,
            headers={"User-Agent": "dora-metrics", "Accept": "application/json"},
            limits=httpx.Limits(max_connections=IN_FLIGHT),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    @property
    def graphql_url(self) -> str:
        """The GraphQL address for `url`."""
        return self.url.removesuffix("/v3") + "/graphql"

    async def query(
        self, kind: str, variables: Mapping[str, Any], render: Render | None = None
    ) -> Answer:
        """Send `queries/KIND.graphql`, or the document of `render`, until GitHub answers.

        A kind in `adaptive_page_size.MOST` gets its sizes from there, and is sent with smaller
        sizes if it is too big for GitHub. An answer with temporary errors is requested once more,
        unless ingest/github/refetch.py asks for the failed parts. Raises `Unanswerable` if GitHub
        answers other requests but not this one at the smallest sizes, `GitHubUnavailable`,
        `TokenRefused`, `RateLimitReached` or `BudgetSpent`.
        """
        in_vain, is_second = 0, False
        sizes = self.sizes.get(kind)
        async with self._streams:
            while True:
                await self._wait_for_quota()
                asked = sizes.fitted(variables) if sizes else dict(variables)
                try:
                    answer = await self._send(*(render or _document_of(kind))(asked))
                except Transient as error:
                    self.usage.errors[error.kind] += 1
                    if sizes and error.is_size:
                        # No wait: the same request stays too big.
                        if not sizes.refuse(asked, is_named=True):
                            await self._give_up(kind, error, sizes, attempts=1)
                        continue
                    is_smaller = error.too_big and sizes is not None and sizes.refuse(asked)
                    in_vain = 0 if is_smaller else in_vain + 1
                    if in_vain == ATTEMPTS:
                        await self._give_up(kind, error, sizes, attempts=ATTEMPTS)
                        in_vain = 0
                    await self._wait_after(error, in_vain)
                    continue
                if kind not in COMPLETED and answer.may_be_better() and not is_second:
                    is_second = True
                    self.usage.errors["partial"] += 1
                    continue
                if sizes:
                    sizes.answered(asked)
                return replace(answer, asked=len(asked.get("ids", ())))

    async def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Get JSON from the REST API, with retries; None if it does not exist (404).

        Raises `Refused` if the token may not read it, `Unanswerable` if GitHub fails to answer,
        and otherwise the same errors as `query`.
        """
        in_vain = 0
        async with self._streams:
            while True:
                await self._wait_for_rest()
                try:
                    return await self._get(path, dict(parameters or {}))
                except Transient as error:
                    self.usage.errors[error.kind] += 1
                    in_vain += 1
                    if isinstance(error, RateLimited):
                        wait = error.wait or SECONDARY_WAIT * 2 ** (in_vain - 1)
                        until = self.clock.now() + timedelta(seconds=wait)
                        self._rest_not_before = max(self._rest_not_before, until)
                        if in_vain == ATTEMPTS:
                            raise RateLimitReached(until) from error
                        continue
                    if in_vain == ATTEMPTS:
                        raise Unanswerable(
                            f"GitHub at {self.url} did not answer {path} after {ATTEMPTS} "
                            f"attempts: {error}"
                        ) from error
                    await self._wait_after(error, in_vain)

    async def _wait_for_rest(self) -> None:
        """Wait until GitHub's REST API accepts requests again: it has a separate quota."""
        while (wait := (self._rest_not_before - self.clock.now()).total_seconds()) > 0:
            if not self.budget.allows(wait):
                raise RateLimitReached(self._rest_not_before)
            until = f"{self._rest_not_before:%H:%M:%SZ}"
            logger.warning("GitHub's REST API accepts no requests until %s", until)
            await self.clock.sleep(wait)
        if not self.budget.allows():
            raise BudgetSpent

    async def _get(self, path: str, parameters: dict[str, Any]) -> Any:
        response = await self._exchange("GET", f"{self.url}{path}", params=parameters)
        now = self.clock.now()
        quota = read_quota(response.headers, now, "core")
        left = quota.remaining if quota else None
        if left is not None and left < self.reserve and quota and quota.reset_at:
            self._rest_not_before = max(self._rest_not_before, quota.reset_at)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        try:
            refuse_bad_status(response, now)
            return response.json()
        except TokenRefused as error:
            if response.status_code == httpx.codes.FORBIDDEN:
                raise Refused(message_of(response)) from error
            raise
        except ValueError as error:
            raise Transient("the answer is not valid JSON", kind="body") from error

    async def _give_up(
        self, kind: str, error: Transient, sizes: PageSizes | None, *, attempts: int
    ) -> None:
        """Raise the error of a request that failed every time, unless it can get smaller.

        GitHub may be unavailable, or may fail to answer only this request.
        """
        if isinstance(error, RateLimited):
            wait = timedelta(seconds=error.wait or SECONDARY_WAIT)
            raise RateLimitReached(self.clock.now() + wait) from error
        after = f"after {attempts} attempts" if attempts > 1 else "even at the smallest sizes"
        way = f" through the proxy in {proxy_variable(self.url)}" if self.proxy else ""
        reason = f"GitHub at {self.url} did not answer {kind}{way} {after}: {error}"
        if sizes is None or sizes.unanswered == MOST_UNANSWERED:
            raise GitHubUnavailable(reason) from error
        try:
            await self._send(document("there"), {})
        except RateLimited as limit:
            wait = timedelta(seconds=limit.wait or SECONDARY_WAIT)
            raise RateLimitReached(self.clock.now() + wait) from limit
        except Transient:
            raise GitHubUnavailable(reason) from error
        if error.is_size or not sizes.refuse_all():
            sizes.give_up()
            raise Unanswerable(reason) from error

    async def _wait_after(self, error: Transient, in_vain: int) -> None:
        """Wait before a retry; after a rate limit all other requests wait too."""
        if isinstance(error, RateLimited):
            seconds = error.wait or SECONDARY_WAIT * 2 ** (in_vain - 1)
            until = self.clock.now() + timedelta(seconds=seconds)
            self._not_before = max(self._not_before, until)
            logger.warning("GitHub: %s", error)
            return
        seconds = random.uniform(0.0, min(LONGEST_BACKOFF, 2.0**in_vain))
        logger.warning("GitHub: %s; retrying in %.1f s", error, seconds)
        if not self.budget.allows(seconds):
            raise BudgetSpent
        await self.clock.sleep(seconds)

    async def _wait_for_quota(self) -> None:
        """Wait until GitHub accepts requests and more points than the reserve are left."""
        usage = self.usage
        # Each request in flight may cost as much as the most expensive one so far.
        left = None if usage.remaining is None else usage.remaining - IN_FLIGHT * usage.dearest
        if left is not None and left < self.reserve and usage.reset_at:
            logger.warning("rate limit: points left: %d", usage.remaining)
            self._not_before = max(self._not_before, usage.reset_at)
            usage.remaining = None
        # Repeat: the other stream may hit a longer limit during the wait.
        while (wait := (self._not_before - self.clock.now()).total_seconds()) > 0:
            if not self.budget.allows(wait):
                raise RateLimitReached(self._not_before)
            logger.warning("GitHub accepts no requests until %s", f"{self._not_before:%H:%M:%SZ}")
            await self.clock.sleep(wait)
        if not self.budget.allows():
            raise BudgetSpent

    async def _send(self, text: str, variables: dict[str, Any]) -> Answer:
        asked = {"query": text, "variables": variables}
        response = await self._exchange("POST", self.graphql_url, json=asked)
        now = self.clock.now()
        self._note_quota(read_quota(response.headers, now))
        answer = read_answer(response, now)
        self.usage.points += answer.cost
        self.usage.dearest = max(self.usage.dearest, answer.cost)
        return answer

    async def _exchange(self, method: str, url: str, **content: Any) -> httpx.Response:
        self.usage.requests += 1
        try:
            # httpx's timeout is per read: a slow body could take forever.
            async with asyncio.timeout(LONGEST_REQUEST):
                response = await self._http.request(method, url, **content)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise Transient(_reason(error), kind="timeout", too_big=True) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL):
            # The message may quote a header, and thereby the token.
            raise ConfigurationError(
                f"cannot send requests to GitHub at {self.url}: check GITHUB_API_URL and the token"
            ) from None
        except httpx.HTTPError as error:
            self._refuse_lasting(error)
            raise Transient(_reason(error), kind="network") from error
        self.usage.response_bytes += len(response.content)
        return response

    def _refuse_lasting(self, error: httpx.HTTPError) -> None:
        """Raise `ConfigurationError` for a failure that a retry cannot fix."""
        if untrusted := _cause(error, ssl.SSLCertVerificationError):
            raise ConfigurationError(
                f"the certificate of {self.url} is not trusted: {untrusted.verify_message}; set "
                "GITHUB_CA_BUNDLE to a PEM file with the authority of the server or of your proxy"
            ) from None
        if isinstance(error, httpx.ProxyError) and str(error).startswith("407"):
            raise password_required(self.url) from None
        if isinstance(error, httpx.ProxyError) and str(error).startswith("4"):
            raise ConfigurationError(
                f"the proxy in {proxy_variable(self.url)} refuses to connect to {self.url}: {error}"
            ) from None

    def _note_quota(self, quota: Quota | None) -> None:
        if quota is None:
            return
        if quota.limit is not None and self.reserve + IN_FLIGHT * self.usage.dearest > quota.limit:
            raise ConfigurationError(
                f"GITHUB_RESERVE {self.reserve} leaves no points: the token has {quota.limit} per "
                "hour; set a smaller reserve"
            )
        self.usage.remaining = quota.remaining
        self.usage.reset_at = quota.reset_at or self.usage.reset_at


def _document_of(name: str) -> Render:
    return lambda variables: (document(name), variables)


def _cause(error: BaseException | None, kind: type[E]) -> E | None:
    """Return the first error of this type in the chain of causes."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
