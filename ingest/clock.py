"""The run's clock: every instant and every wait come from here, so that tests can simulate it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time in UTC and waits."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(seconds)


class Budget:
    """The time that a run may take: `seconds` from now, or unlimited."""

    def __init__(self, clock: Clock, seconds: float | None = None) -> None:
        self.clock = clock
        self._end = None if seconds is None else clock.now() + timedelta(seconds=seconds)

    def allows(self, seconds: float = 0.0) -> bool:
        """Return whether the budget still has more than `seconds` left."""
        return self._end is None or self.clock.now() + timedelta(seconds=seconds) < self._end
