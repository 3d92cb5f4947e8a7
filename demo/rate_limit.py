"""The primary rate limit: points per hour, reported in headers and in `rateLimit`."""

from collections.abc import Callable
from datetime import UTC, datetime

from demo.query_cost import Cost
from demo.resolvers import RateLimit

HOUR_SECONDS = 3600


class Points:
    """`limit` points an hour by `clock` (seconds since the epoch); every attribute may be set.

    The hour begins with the first request and ends at `reset_at`.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.clock = clock
        self.used = 0
        self.reset_at = 0

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def charge(self, cost: Cost) -> RateLimit | None:
        """Charge `cost`, return `rateLimit`; with too few points use them up, return None."""
        self._roll()
        if cost.points > self.remaining:
            self.used = self.limit
            return None
        self.used += cost.points
        reset_at = datetime.fromtimestamp(self.reset_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return RateLimit(cost.points, self.limit, cost.nodes, self.remaining, reset_at, self.used)

    def headers(self) -> dict[str, str]:
        self._roll()
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.reset_at),
            "x-ratelimit-resource": "graphql",
        }

    def _roll(self) -> None:
        now = self.clock()
        if now >= self.reset_at:
            self.reset_at, self.used = int(now) + HOUR_SECONDS, 0
