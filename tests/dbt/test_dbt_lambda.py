"""dbt where AWS Lambda runs it: no semaphores in /dev/shm, nothing to write to but /tmp."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

from dbt_support import EXAMPLE, ROOT, Warehouse

from tests.confinement import with_own_tmp

LOCKS = """
import multiprocessing, resource
from dora.dbt import do_without_semaphores
# Semaphores are files, and a file may have no bytes.
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    multiprocessing.get_context("spawn").Lock()
except OSError:
    print("no semaphore")
do_without_semaphores()
from dbt.contracts.graph.manifest import Manifest
from dbt.mp_context import get_mp_context
for lock in (get_mp_context().Lock(), get_mp_context().RLock(), Manifest()._lock):
    print(type(lock).__module__, type(lock).__name__)
"""
KEPT = """
from multiprocessing import get_context
from dora.dbt import do_without_semaphores
do_without_semaphores()
print(type(get_context("spawn").RLock()).__module__)
"""
BUILD = """
import sys
from multiprocessing import get_context
from pathlib import Path
from dora.database import Database
from dora.dbt import ROOT, run
for attempt in (get_context("spawn").RLock, (ROOT / "dbt_project" / "written").touch):
    try:
        attempt()
    except OSError:
        print("refused")
run(Database(sys.argv[1]), ["--quiet", "build", *sys.argv[3:]], Path(sys.argv[2]))
"""


def python(script: str, *arguments: str | Path, within: tuple[str, ...] = ()) -> list[str]:
    """What a script printed, line by line, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    done = subprocess.run(
        [*within, sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_locks_are_the_threads_own_where_semaphores_cannot_be_made() -> None:
    assert python(LOCKS) == ["no semaphore", "_thread lock", "_thread RLock", "_thread lock"]


def test_locks_stay_what_they_are_where_semaphores_can() -> None:
    assert python(KEPT) == ["multiprocessing.synchronize"]


def test_a_build_writes_to_its_home_alone(own_warehouse: Warehouse, tmp_path: Path) -> None:
    own_warehouse.insert(**EXAMPLE)
    within = with_own_tmp()
    if not within:
        warnings.warn("no mount namespace here: built without hiding /dev/shm", stacklevel=1)
    selected = ["--indirect-selection", "cautious", "--select", "+dim_teams"]
    url = own_warehouse.database.url
    printed = python(BUILD, url, tmp_path / "home", *selected, within=within)
    assert printed == (["refused"] * 2 if within else [])
    assert own_warehouse.rows("select team_id from marts.dim_teams order by 1") == [
        {"team_id": "core"},
        {"team_id": "web"},
    ]
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"dbt"}
