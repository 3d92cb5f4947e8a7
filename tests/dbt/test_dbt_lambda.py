"""dbt under the limits of AWS Lambda: no semaphores in /dev/shm, only /tmp is writable."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

from dbt_support import EXAMPLE, ROOT, Warehouse

from tests.confinement import with_own_tmp

LOCKS = """
import multiprocessing, resource
from transform.dbt_runner import do_without_semaphores
# Semaphores are files, and this limits files to 0 bytes.
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
from transform.dbt_runner import do_without_semaphores
do_without_semaphores()
print(type(get_context("spawn").RLock()).__module__)
"""
BUILD = """
import sys
from multiprocessing import get_context
from pathlib import Path
from dora.database import Database
from transform.dbt_runner import ROOT, build_marts
for attempt in (get_context("spawn").RLock, (ROOT / "dbt_project" / "written").touch):
    try:
        attempt()
    except OSError:
        print("refused")
build_marts(Database(sys.argv[1]), Path(sys.argv[2]), ["--quiet"])
"""

COMPILE = """
import sys
from pathlib import Path
from transform import dbt_runner
from dora.database import Database
dbt_runner.PARSED, dbt_runner.PARSED_FOR = Path(sys.argv[1]) / "parsed.msgpack", sys.argv[2]
compile = ["--quiet", "compile", "--select", "int_build_described", "--no-write-json"]
dbt_runner.run_dbt(Database(sys.argv[3]), Path(sys.argv[4]), compile)
"""


def python(
    script: str, *arguments: str | Path, within: tuple[str, ...] = (), **more: str
) -> list[str]:
    """Run a script in a separate process; return the lines that it printed."""
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"} | more
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


def test_thread_locks_are_used_if_semaphores_are_unavailable() -> None:
    assert python(LOCKS) == ["no semaphore", "_thread lock", "_thread RLock", "_thread lock"]


def test_multiprocessing_locks_are_kept_if_semaphores_are_available() -> None:
    assert python(KEPT) == ["multiprocessing.synchronize"]


def test_build_writes_only_to_its_home(own_warehouse: Warehouse, tmp_path: Path) -> None:
    own_warehouse.insert(**EXAMPLE)
    within = with_own_tmp()
    if not within:
        warnings.warn("no mount namespace: /dev/shm is not hidden from the build", stacklevel=1)
    url = own_warehouse.database.url
    printed = python(BUILD, url, tmp_path / "home", within=within)
    assert printed == (["refused"] * 2 if within else [])
    assert own_warehouse.rows("select team_id from marts.dim_teams order by 1") == [
        {"team_id": "core"},
        {"team_id": "web"},
    ]
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"dbt"}


def test_precompiled_project_uses_the_settings_of_the_run(
    own_warehouse: Warehouse, tmp_path: Path
) -> None:
    package, home = tmp_path / "package", tmp_path / "home"
    shutil.copytree(
        ROOT / "dbt_project",
        package / "dbt_project",
        ignore=shutil.ignore_patterns("target", "logs", "*.msgpack"),
    )
    shutil.copy(ROOT / "profiles.yml", package)
    name = own_warehouse.database.url.rpartition("/")[2]
    parse = (
        "import sys; from infra.precompile_dbt import main, Path; main(*map(Path, sys.argv[1:]))"
    )
    python(parse, package / "dbt_project", tmp_path / "scratch", PGDATABASE=name)
    arguments = (package / "dbt_project", name, own_warehouse.database.url, home)
    python(COMPILE, *arguments, REPORTING_TIMEZONE="Asia/Tokyo", ATTRIBUTION_INSTANT="created_at")
    (compiled,) = home.rglob("int_build_described.sql")
    assert "'Asia/Tokyo'" in compiled.read_text("utf-8")
    assert "'created_at'" in compiled.read_text("utf-8")
    # The precompiled manifest was used; the project was not parsed again.
    assert list(home.rglob("partial_parse.msgpack")) == []
