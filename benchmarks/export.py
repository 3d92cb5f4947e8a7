"""`dora export` of generated pull requests, beside `COPY … TO` of the same marts.

`SIZES="100000 10000000"` in the environment sets the numbers of pull requests. The seconds of an
export do not include Python's start; the peak memory is that of the whole process.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.transform import CHANGE, CHANGES, HERE, Bench, generate
from dora import embedded_postgres
from dora.database import Database
from dora.embedded_postgres import Embedded

SIZES = tuple(int(size) for size in os.environ.get("SIZES", "100000").split())
CHANGE_NEWEST = f"""
update raw.pull_requests
set title = title || ' again', change_number = default
where id in (
    select id
    from raw.pull_requests
    order by created_at desc
    limit {CHANGES}
)
"""
_MARTS = """
select relname
from pg_class
where relnamespace = 'marts'::regnamespace and relkind = 'r'
order by relname
"""
_EXPORT = """
import json, resource, sys, time
from dora.database import Database
from export.destination import open_destination
from export.run import export_marts
began, cpu_began = time.perf_counter(), time.process_time()
exported = export_marts(Database(sys.argv[1]), open_destination(sys.argv[2]), keep=1)
print(json.dumps({
    "seconds": time.perf_counter() - began,
    "cpu": time.process_time() - cpu_began,
    "files": exported.files,
    "size": exported.size,
    "rows": sum(mart["rows"] for mart in exported.manifest["marts"].values()),
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
"""


def measure(home: Path) -> None:
    """Print a line for each export of each size."""
    server = embedded_postgres.start(home)
    try:
        for size in SIZES:
            _measure_one(server, home, size)
    finally:
        embedded_postgres.stop(home)


def _measure_one(server: Embedded, home: Path, size: int) -> None:
    name = f"export_{size}"
    server.create_database(name)
    bench = Bench(Database(server.url(name)), home / "target")
    generate(bench.database, home, size)
    bench.change((HERE / "transform_deliveries.sql").read_text("utf-8"))
    bench.build()
    copied = home / f"copied-{size}"
    copied.mkdir()
    # Root's server runs as another user.
    copied.chmod(0o777)
    seconds = _copy(bench.database, copied)
    print(f"export, {size:,} pull requests, COPY … TO of all marts: {seconds:.1f} s")
    full = _export(bench.database, home / f"exported-{size}")
    _print(size, "all", full)
    print(
        f"  times COPY: {full['seconds'] / seconds:.2f} (aim: at most 2);"
        f" peak memory: {full['peak'] / 1e6:.0f} MB (aim: at most 400)"
    )
    for step, change in (
        (f"{CHANGES:,} newest pull requests changed", CHANGE_NEWEST),
        (f"{CHANGES:,} pull requests of ten years changed", CHANGE),
    ):
        bench.change(change)
        bench.build()
        found = _export(bench.database, home / f"exported-{size}")
        _print(size, step, found)
        print(f"  of the seconds of all: {found['seconds'] / full['seconds']:.1%}")


def _copy(database: Database, folder: Path) -> float:
    with database.connect() as connection:
        marts = [name for (name,) in connection.execute(_MARTS)]
        began = time.perf_counter()
        for name in marts:
            connection.execute(f"copy marts.{name} to '{folder / name}'".encode())
        return time.perf_counter() - began


def _export(database: Database, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _EXPORT, database.url, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def _print(size: int, step: str, found: dict[str, Any]) -> None:
    print(
        f"export, {size:,} pull requests, {step}: {found['seconds']:.1f} s"
        f" ({found['cpu']:.1f} s of our CPU);"
        f" {found['files']:,} files with {found['size'] / 1e6:.1f} MB written,"
        f" {found['rows']:,} rows in the export; peak {found['peak'] / 1e6:.0f} MB"
    )
