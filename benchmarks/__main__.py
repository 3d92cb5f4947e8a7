"""`make bench`."""

import logging
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import api, delivery, export, functions, ingest, spark, transform, trends


def main() -> None:
    """Run the named benchmarks, by default all, and print their results."""
    logging.basicConfig(level="ERROR")
    home = Path(tempfile.mkdtemp(prefix="dora-bench-"))
    # Root's Postgres server runs as another user, who needs access.
    home.chmod(0o755)
    try:
        for bench in (functions, delivery, ingest, transform, export, spark, api, trends):
            name = bench.__name__.rpartition(".")[2]
            if name in (sys.argv[1:] or [name]):
                bench.measure(home)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
