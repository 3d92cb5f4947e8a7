"""The wheel that the container installs: it has everything, and nothing writes beside it."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.dashboard import BUILT
from demo.github import GitHub
from demo.organisation import generate
from demo.server import serve
from dora.database import Database
from transform.dbt_runner import ROOT

TOKEN = "a-token"
FOLDERS = {
    "api",
    "cli",
    "dashboard",
    "dbt_project",
    "demo",
    "dora",
    "export",
    "ingest",
    "transform",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The unpacked wheel, read-only."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for path in [site, *site.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    yield site
    for path in [site, *site.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def test_wheel_has_the_packages_and_no_tests(installed: Path) -> None:
    found = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    expected = FOLDERS if BUILT.is_dir() else FOLDERS - {"dashboard"}
    assert found == expected | {"profiles.yml"}
    if BUILT.is_dir():
        assert (installed / "dashboard" / "dist" / "index.html").is_file()


def test_run_from_the_read_only_wheel_fills_the_marts(
    installed: Path, database: Database, tmp_path: Path
) -> None:
    organisation = generate(seed=5, pull_requests=100, repositories=2)
    before = sorted(installed.rglob("*"))
    with serve(GitHub.from_organisation(organisation), token=TOKEN) as hub:
        names = [found.name_with_owner for found in hub.github.repositories()]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(installed),
            # Without the bytecode of an installation, Python would try to write it.
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/nonexistent",
            "GITHUB_PAT": TOKEN,
            "GITHUB_API_URL": hub.url,
            "REPOSITORIES": ",".join(names),
            "TEAM_CONFIG_JSON": json.dumps(organisation.team_config()),
            "DB_URL": database.url,
            "DORA_HOME": str(tmp_path / "home"),
        }
        code = "import cli.__main__ as command; print(command.__file__); command.main()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, "run", "--no-serve"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[0]).is_relative_to(installed)
    assert "Payments" in done.stdout
    assert sorted(installed.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
