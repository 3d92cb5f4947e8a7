"""GitHub's GraphQL API over HTTP: every wait and every retry of the product is in this file."""

import asyncio
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
    Transient,
    Unanswerable,
)
from ingest.github.queries import document
from ingest.github.responses import Answer, Quota, read_answer, read_quota
from ingest.github.sizes import Sizes

logger = logging.getLogger(__name__)

# GitHub meters processing time: one or two streams already fill what it gives to one token.
IN_FLIGHT = 2
# How often a question is asked that gets no smaller.
ATTEMPTS = 7
# Questions of a kind in a row that GitHub, though it is there, may leave unanswered: more is an
# outage. Walks and single questions count apart, so that what a walk met is settled by its end.
MOST_UNANSWERED = 8
# A request is ended by GitHub after 10 s; a little more for the way.
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
LONGEST_REQUEST = 60.0
SECONDARY_WAIT = 60.0
LONGEST_BACKOFF = 60.0
# A question's text and variables, made of the variables that it is asked with.
Render = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]


@dataclass
class Usage:
    """What a run cost GitHub: requests, points of the quota, bytes of the answers' bodies.

    `remaining` points are left until `reset_at`, which is by our clock; `dearest` is the most that
    one request cost, or a full page. `errors` counts by kind what was asked again.
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
        # Until when GitHub wants nothing asked.
        self._not_before = datetime.fromtimestamp(0, UTC)

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
                    count = len(asked.get("ids", ()))
                    is_smaller = error.too_big and sizes is not None and sizes.shrink(count)
                    in_vain = 0 if is_smaller else in_vain + 1
                    if in_vain == ATTEMPTS:
                        await self._give_up(name, error, sizes)
                        in_vain = 0
                    await self._wait_after(error, in_vain)
                    continue
                if sizes:
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
        if sizes is None or sizes.unanswered == MOST_UNANSWERED:
            raise GitHubAway(reason) from error
        try:
            await self._send(document("there"), {})
        except RateLimited as limit:
            wait = timedelta(seconds=limit.wait or SECONDARY_WAIT)
            raise RateLimitReached(self.clock.now() + wait) from limit
        except Transient:
            raise GitHubAway(reason) from error
        if not sizes.shrink_to_least():
            sizes.unanswered += 1
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
        usage = self.usage
        # What is in flight at the same time may cost as much as the dearest so far.
        left = None if usage.remaining is None else usage.remaining - IN_FLIGHT * usage.dearest
        if left is not None and left < self.reserve and usage.reset_at:
            logger.warning("rate limit: %d points left", usage.remaining)
            self._not_before = max(self._not_before, usage.reset_at)
            usage.remaining = None
        # As often as it takes: another stream may meet a longer limit meanwhile.
        while (wait := (self._not_before - self.clock.now()).total_seconds()) > 0:
            if not self.budget.allows(wait):
                raise RateLimitReached(self._not_before)
            logger.warning("GitHub wants nothing asked until %s", f"{self._not_before:%H:%M:%SZ}")
            await self.clock.sleep(wait)
        if not self.budget.allows():
            raise BudgetSpent

    async def _send(self, text: str, variables: dict[str, Any]) -> Answer:
        self.usage.requests += 1
        asked = {"query": text, "variables": variables}
        try:
            # httpx counts from one byte to the next; a body may drip for ever.
            async with asyncio.timeout(LONGEST_REQUEST):
                response = await self._http.post(self.graphql_url, json=asked)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise Transient(_reason(error), kind="timeout", too_big=True) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL):
            # Their words may quote a header, and so the token.
            raise ConfigurationError(
                f"GitHub at {self.url} cannot be asked: look at GITHUB_API_URL and the token"
            ) from None
        except httpx.HTTPError as error:
            raise Transient(_reason(error), kind="network") from error
        now = self.clock.now()
        self.usage.response_bytes += len(response.content)
        self._note_quota(read_quota(response.headers, now))
        answer = read_answer(response, now)
        self.usage.points += answer.cost
        self.usage.dearest = max(self.usage.dearest, answer.cost)
        return answer

    def _note_quota(self, quota: Quota | None) -> None:
        if quota is None:
            return
        if quota.limit is not None and self.reserve + IN_FLIGHT * self.usage.dearest > quota.limit:
            raise ConfigurationError(
                f"GITHUB_RESERVE {self.reserve} leaves nothing of the {quota.limit} points that "
                "the token has an hour"
            )
        self.usage.remaining = quota.remaining
        self.usage.reset_at = quota.reset_at or self.usage.reset_at


def _document_of(name: str) -> Render:
    return lambda variables: (document(name), variables)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
