import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from stack_templates import Template

from infra.package import FUNCTIONS
from tests.confinement import without_network
from transform.dbt_runner import ROOT

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def cdk_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The templates of every stage, written without network access."""
    packages, out = tmp_path_factory.mktemp("zips"), tmp_path_factory.mktemp("cdk.out")
    for function in FUNCTIONS:
        # A template contains only their names and hashes.
        with zipfile.ZipFile(packages / f"{function}.zip", "w") as archive:
            archive.writestr(f"{function}/handler.py", "")
    command = [*without_network(), sys.executable, HERE / "synthesise.py", out, packages]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def templates(cdk_out: Path) -> dict[str, dict[str, Template]]:
    """The templates by stage and stack."""
    found: dict[str, dict[str, Template]] = {}
    for path in sorted(cdk_out.glob("*.template.json")):
        _, stage, stack = path.name.removesuffix(".template.json").split("-")
        found.setdefault(stage, {})[stack] = Template.read(path)
    return found
