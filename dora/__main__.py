"""The `dora` command."""

import sys

from dora.cli import app
from dora.errors import DoraError


def main() -> None:
    """Run the command; an error a user can meet is told in plain words, with its exit code."""
    try:
        app()
    except DoraError as error:
        print(f"dora: {error}".replace("\n", "\ndora: "), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("dora: interrupted; run again to go on", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
