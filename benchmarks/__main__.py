"""`make bench`."""

import logging
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import api, delivery, functions, ingest, transform


def main() -> None:
    """Run the benchmarks of these names, or every one, and print what they measure."""
    logging.basicConfig(level="ERROR")
    home = Path(tempfile.mkdtemp(prefix="dora-bench-"))
    # Root's server runs as somebody else, who has to get in.
    home.chmod(0o755)
    try:
        for bench in (functions, delivery, ingest, transform, api):
            name = bench.__name__.rpartition(".")[2]
            if name in (sys.argv[1:] or [name]):
                bench.measure(home)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
