"""dbt, also where little is to be had: AWS Lambda has no /dev/shm, and only /tmp to write to.

`python -m dora.dbt …` is dbt's own command line for this project; `run` is dbt in this process.
"""

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING

from dora.database import Database
from dora.errors import TransformError
from dora.roles import TRANSFORM
from dora.settings import load_settings
from dora.standing import standing

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
# Any number that nobody else in this database uses as a lock: see ingest.lock and dora.roles.
LOCK = 0x646F7263
# The project as it was parsed when the package was made: dbt need not parse it at each cold start.
PARSED = ROOT / "dbt_project" / "parsed.msgpack"
# The name of the database is in it: what profiles.yml says where nothing else does.
PARSED_FOR = "dora"


def run(database: Database, arguments: Sequence[str], home: Path) -> None:
    """Run dbt as `dora_transform`, its files under `home`; raise `TransformError` where it fails.

    The process is given over to it: its environment becomes that of the database.
    """
    os.environ.update(database.environment(TRANSFORM))
    _make_ready(home)
    from dbt.cli.main import dbtRunner

    with standing(database):
        outcome = dbtRunner(_parsed()).invoke(list(arguments))
    if outcome.success:
        return
    faults = [str(outcome.exception)] if outcome.exception else []
    for one in getattr(outcome.result, "results", []):
        if one.status in {"error", "fail", "runtime error"}:
            faults.append(f"{one.node.name}: {one.message}")
    raise TransformError("dbt failed:\n" + "\n".join(faults))


def _parsed() -> "Manifest | None":
    """The project as it was parsed ahead, where that serves the database of the `PG…` variables."""
    if not PARSED.exists() or os.environ["PGDATABASE"] != PARSED_FOR:
        return None
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(PARSED.read_bytes())
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def main() -> None:
    """Run dbt's command line on the database of the `PG…` variables."""
    _make_ready(load_settings([]).dora_home)
    from dbt.cli.main import cli

    cli()


def do_without_semaphores() -> None:
    """Where processes cannot have semaphores, give dbt's locks and its pool to threads.

    dbt and its thread pool take their locks from multiprocessing, though all its workers are
    threads, and it makes a pool of processes to check the metrics, which it does not use. To be
    called before dbt is imported: it keeps one of the locks.
    """
    try:
        multiprocessing.get_context("spawn").RLock()
    except OSError:
        from dbt_semantic_interfaces.validations import semantic_manifest_validator

        for name, lock in (("Lock", threading.Lock), ("RLock", threading.RLock)):
            setattr(BaseContext, name, staticmethod(lock))
        vars(semantic_manifest_validator).update(ProcessPoolExecutor=ThreadPoolExecutor)


def _make_ready(home: Path) -> None:
    do_without_semaphores()
    written = home.expanduser().resolve() / "dbt"
    os.environ.update(
        DBT_SEND_ANONYMOUS_USAGE_STATS="false",
        DBT_PROJECT_DIR=str(ROOT / "dbt_project"),
        DBT_PROFILES_DIR=str(ROOT),
        DBT_TARGET_PATH=str(written / "target"),
        DBT_LOG_PATH=str(written / "logs"),
    )


if __name__ == "__main__":
    main()
