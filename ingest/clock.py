"""Time as the run sees it: asked for and waited in here, so that tests can simulate it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of UTC instants that can wait."""

    def now(self) -> datetime:
        """Return the instant, in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the instant, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        await asyncio.sleep(seconds)


class Budget:
    """How long a run may take: `seconds` from now, or as long as it needs."""

    def __init__(self, clock: Clock, seconds: float | None = None) -> None:
        self.clock = clock
        self._end = None if seconds is None else clock.now() + timedelta(seconds=seconds)

    def allows(self, seconds: float = 0.0) -> bool:
        """Say whether so many seconds more are within the budget."""
        return self._end is None or self.clock.now() + timedelta(seconds=seconds) < self._end
