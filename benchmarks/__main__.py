"""`make bench`."""

import logging
import tempfile
from pathlib import Path

from benchmarks import ingest


def main() -> None:
    """Run every benchmark and print what it measures."""
    logging.basicConfig(level="ERROR")
    with tempfile.TemporaryDirectory() as home:
        ingest.measure(Path(home))


if __name__ == "__main__":
    main()
