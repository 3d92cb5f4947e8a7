"""Time that passes only when somebody waits."""

from datetime import UTC, datetime, timedelta


class SimulatedClock:
    """A clock that jumps ahead by every wait; `waits` keeps them, in seconds."""

    def __init__(self, start: datetime = datetime(2026, 6, 30, tzinfo=UTC)) -> None:
        self._now = start
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._now += timedelta(seconds=seconds)

    def pass_by(self, seconds: float) -> None:
        """Let time go by without anybody waiting."""
        self._now += timedelta(seconds=seconds)
