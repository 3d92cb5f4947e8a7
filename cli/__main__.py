"""The `dora` command."""

import signal
import sys
from typing import NoReturn

import psycopg

from cli import app
from dora.database import error_of
from dora.errors import DoraError

INTERRUPTED = 130


def main() -> None:
    """Run the command; print an expected error without a traceback and exit with its code."""
    try:
        # `dora run --every` starts its runs with Ctrl-C blocked, see cli.schedule.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        app()
    except KeyboardInterrupt:
        _interrupted()
        sys.exit(INTERRUPTED)
    except DoraError as error:
        _end(error)
    except psycopg.Error as error:
        _end(error_of(error))
    except SystemExit as end:
        # typer exits with this code on Ctrl-C.
        if end.code == INTERRUPTED:
            _interrupted()
        raise


def _interrupted() -> None:
    print("dora: interrupted; run again to continue", file=sys.stderr)


def _end(error: DoraError) -> NoReturn:
    said = "\n".join([str(error), *getattr(error, "__notes__", ())])
    print(f"dora: {said}".replace("\n", "\ndora: "), file=sys.stderr)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
