"""The `dora` command."""

import sys

from dora.cli import app
from dora.errors import DoraError

INTERRUPTED = 130


def main() -> None:
    """Run the command; an error a user can meet is told in plain words, with its exit code."""
    try:
        app()
    except DoraError as error:
        print(f"dora: {error}".replace("\n", "\ndora: "), file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as end:
        # What typer makes of Ctrl-C.
        if end.code == INTERRUPTED:
            print("dora: interrupted; run again to go on", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
