"""Terminal output: bars and tables for people, JSON lines for log collectors."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)


_OF_EVERY_RECORD = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}


class _JsonLines(logging.Formatter):
    """One JSON object per line: `at`, `level`, `logger`, `message`, the fields of `extra`, and a
    traceback as `error`.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            name: value
            for name, value in vars(record).items()
            if name not in _OF_EVERY_RECORD and value is not None
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logging(level: str) -> None:
    """Log to stderr; on a terminal only warnings, because bars show the progress."""
    if err.is_terminal:
        handler: logging.Handler = RichHandler(console=err, show_path=False, show_time=False)
        level = "WARNING" if level == "INFO" else level
    else:
        handler = logging.StreamHandler(sys.stderr)
    logging.basicConfig(level=level, handlers=[handler], force=True, format="%(message)s")
    if not err.is_terminal:
        handler.setFormatter(_JsonLines())
    # These would log every request; requests are already counted.
    for noisy in ("httpx", "httpcore", "sqlalchemy", "botocore"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


@contextmanager
def bars() -> Iterator[Progress]:
    """Show progress bars, but only on a terminal."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim", table_column=Column(no_wrap=True, ratio=1)),
        console=err,
        expand=True,
        disable=not err.is_terminal,
    ) as progress:
        yield progress


def tell(result: str) -> None:
    """Print a result to stdout without wrapping it to the terminal's width."""
    out.print(result, soft_wrap=True, markup=False)


def log(message: str) -> None:
    """Log the progress of a command, unless a bar on a terminal shows it."""
    if not err.is_terminal:
        logging.getLogger("dora").info(message)


def say(message: str, style: str = "") -> None:
    """Print a message to stderr: plain text on a terminal, a JSON line otherwise."""
    if err.is_terminal:
        err.print(message, style=style or None, markup=False)
    else:
        level = logging.WARNING if style else logging.INFO
        logging.getLogger("dora").log(level, message)
