"""Let a command clean up if a signal ends it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Windows has only SIGTERM.
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the block as Ctrl-C does, and then the process.

    Only the main thread can handle signals; in other threads this changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _end) for number in _SIGNALS}
    try:
        yield
    except KeyboardInterrupt as interrupt:
        for note in getattr(interrupt, "__notes__", ()):
            print(f"dora: {note}", file=sys.stderr)
        if isinstance(interrupt, _SignalInterrupt):
            sys.exit(128 + interrupt.number)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _SignalInterrupt(KeyboardInterrupt):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _end(number: int, _: FrameType | None) -> None:
    raise _SignalInterrupt(number)
