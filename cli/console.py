"""The terminal: a person gets bars and tables, a log collector JSON lines."""

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
    """One JSON object a line: `at`, `level`, `logger`, `message`, what came as `extra`, and a
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
    """Log to stderr: on a terminal warnings only, as the bars tell the rest."""
    if err.is_terminal:
        handler: logging.Handler = RichHandler(console=err, show_path=False, show_time=False)
        level = "WARNING" if level == "INFO" else level
    else:
        handler = logging.StreamHandler(sys.stderr)
    logging.basicConfig(level=level, handlers=[handler], force=True, format="%(message)s")
    if not err.is_terminal:
        handler.setFormatter(_JsonLines())
    # Each request is counted already; these would log every one.
    for noisy in ("httpx", "httpcore", "sqlalchemy", "botocore"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


@contextmanager
def bars() -> Iterator[Progress]:
    """Show progress bars on a terminal; elsewhere nothing."""
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
    """Print a result on stdout, as one line however wide the terminal is."""
    out.print(result, soft_wrap=True, markup=False)


def log(message: str) -> None:
    """Tell a log collector how far a command is; on a terminal a bar tells that."""
    if not err.is_terminal:
        logging.getLogger("dora").info(message)


def say(message: str, style: str = "") -> None:
    """Tell a person something on stderr: plain on a terminal, a JSON line elsewhere."""
    if err.is_terminal:
        err.print(message, style=style or None, markup=False)
    else:
        level = logging.WARNING if style else logging.INFO
        logging.getLogger("dora").log(level, message)
