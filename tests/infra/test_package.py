import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lambda_runtime import IMPORTED

from infra.package import LIMIT, PYTHON, PackageError, Size, check, make, make_all
from transform.dbt_runner import ROOT

pytestmark = pytest.mark.ci

# .ci/arm64 installs both.
QEMU, ARM = "qemu-aarch64", ROOT / "build" / "arm64"
# Graviton2, as in Lambda. qemu is slow with newer ones, which check the target of each jump.
PROCESSOR = "neoverse-n1"
ELF_MACHINES = {b"\xb7\x00": "aarch64", b"\x3e\x00": "x86_64"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Size]]:
    return make_all(tmp_path_factory.mktemp("packages"))


def test_native_files_are_all_for_arm(packages: dict[str, tuple[Path, Size]]) -> None:
    for path, _ in packages.values():
        with zipfile.ZipFile(path) as archive:
            machines = [
                ELF_MACHINES.get(content[18:20], "another")
                for name in archive.namelist()
                if (content := archive.read(name))[:4] == b"\x7fELF"
            ]
        assert set(machines) == {"aarch64"}


@pytest.mark.long
@pytest.mark.parametrize("handler", IMPORTED)
def test_a_package_is_imported_by_an_arm_processor(
    packages: dict[str, tuple[Path, Size]], tmp_path: Path, handler: str
) -> None:
    python = ARM / "usr" / "bin" / f"python{PYTHON}"
    if shutil.which(QEMU) is None or not python.exists():
        pytest.skip("no ARM emulator: .ci/arm64 installs one on Debian")
    with zipfile.ZipFile(packages[handler.partition(".")[0]][0]) as archive:
        archive.extractall(tmp_path)
    environment = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    script = (
        f"import platform, {handler}, {', '.join(IMPORTED[handler])}\nprint(platform.machine())"
    )
    command = [QEMU, "-cpu", PROCESSOR, "-L", ARM, python, "-sS", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("aarch64\n", "")


def test_a_package_contains_only_its_own_modules(packages: dict[str, tuple[Path, Size]]) -> None:
    for function, (path, size) in packages.items():
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            assert size.unzipped == sum(info.file_size for info in archive.infolist()) < LIMIT
        assert {name for name in names if name.startswith("cli/")} == set()
        assert [name for name in names if "__pycache__" in name or name.startswith("bin/")] == []
        own = {"ingest", "transform", "api", "dbt_project"} & {
            name.partition("/")[0] for name in names
        }
        assert own == {function} | ({"dbt_project"} if function == "transform" else set())


def test_the_same_inputs_give_the_same_bytes(
    packages: dict[str, tuple[Path, Size]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Building this one takes all steps of the others, and dbt's parse.
    monkeypatch.setitem(os.environ, "TZ", "Asia/Tokyo")
    again, _ = make("transform", tmp_path)
    # Compare digests: pytest would take an hour to show the difference of the bytes.
    differing = set(_digests(again)) ^ set(_digests(packages["transform"][0]))
    assert {name for name, _ in differing} == set()
    first, second = (_digest(path.read_bytes()) for path in (again, packages["transform"][0]))
    assert first == second


def _digests(package: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            yield name, _digest(archive.read(name))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_sizes_over_the_limit_or_the_committed_ones_are_refused(
    packages: dict[str, tuple[Path, Size]], tmp_path: Path
) -> None:
    check({function: size for function, (_, size) in packages.items()})
    before = tmp_path / "sizes.json"
    before.write_text(json.dumps({"api": {"zipped": 100, "unzipped": 1000}}))
    check({"api": Size(120, 1200)}, before)
    with pytest.raises(PackageError, match="api: unzipped grew from 1,000 to 1,201 bytes"):
        check({"api": Size(120, 1201)}, before)
    with pytest.raises(PackageError, match="Lambda accepts"):
        check({"api": Size(120, LIMIT + 1)}, before)
    with pytest.raises(PackageError, match="ingest is not in"):
        check({"ingest": Size(1, 1)}, before)
