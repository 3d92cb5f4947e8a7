"""A clock whose time passes only during waits."""

from datetime import UTC, datetime, timedelta


class SimulatedClock:
    """A clock that every wait moves forward; `waits` records the waits, in seconds."""

    def __init__(self, start: datetime = datetime(2026, 6, 30, tzinfo=UTC)) -> None:
        self._now = start
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._now += timedelta(seconds=seconds)

    def pass_by(self, seconds: float) -> None:
        """Move the time forward without a wait."""
        self._now += timedelta(seconds=seconds)
