"""`dora run --every`: runs at regular intervals, each in a separate process, one at a time."""

import asyncio
import re
import signal
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from cli.console import say
from dora.errors import ConfigurationError

MINIMUM = timedelta(minutes=5)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DURATION = re.compile(rf"([0-9]{{1,4}})([{''.join(_UNITS)}])")
# The clock of asyncio stands still while a laptop sleeps, so the time is compared this often.
_CHECK_SECONDS = 30


def parse_interval(text: str) -> timedelta:
    """Parse minutes, hours or days, such as `90m`. Raise `ConfigurationError` for other text."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            f"--every {text!r} is not a duration: write minutes, hours or days, as 90m, 4h or 1d"
        )
    interval = int(found[1]) * _UNITS[found[2]]
    if interval < MINIMUM:
        raise ConfigurationError(f"--every {text} is too short: the minimum is 5m")
    return interval


async def run_every(interval: timedelta, command: Sequence[str]) -> None:
    """Run a command now and once in each interval; if one takes longer, the next follows it.

    A failed run is reported, and the next one starts as usual. If this is cancelled, it interrupts
    the command and waits for its end.
    """
    while True:
        due = time.time() + interval.total_seconds()
        failure = await _run(command)
        at = datetime.fromtimestamp(max(due, time.time())).astimezone()
        following = f"the next run starts at {at:%Y-%m-%d %H:%M %Z}"
        if failure is None:
            say(following)
        else:
            say(f"the run {failure}; {following}", "yellow")
        while (left := due - time.time()) > 0:
            await asyncio.sleep(min(left, _CHECK_SECONDS))


async def _run(command: Sequence[str]) -> str | None:
    """Run a command, which unblocks SIGINT when it is ready; return how it failed, or None."""
    # The process inherits this, and unblocks it once it can end without a traceback.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        # In a separate session, so that Ctrl-C in a terminal interrupts it only once: from here.
        process = await asyncio.create_subprocess_exec(*command, start_new_session=True)
    except OSError as error:
        return f"could not start: {error}"
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            # Like Ctrl-C: an ingest first loads what it has read.
            process.send_signal(signal.SIGINT)
            await process.wait()
    return f"ended with exit code {code}" if code else None
