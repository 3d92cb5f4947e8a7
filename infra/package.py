"""`make package`: build the three Lambda zips for ARM64 and Python 3.13 from the lock files.

The same inputs give the same bytes, so that `make synth` and the deploy detect changes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from transform.dbt_runner import ROOT

PYTHON = "3.13"
ARCHITECTURE = "aarch64"
# Lambda's limit for a function's unzipped files, in bytes.
LIMIT = 250 * 1024 * 1024
GROWTH = 1.2
SIZES = Path(__file__).with_name("package_sizes.json")
OUT = ROOT / "build" / "packages"
# The parts of `dora` that only a laptop needs.
LAPTOP = ("embedded_postgres",)
# AWS services that the functions call; botocore describes four hundred others.
SERVICES = {"secretsmanager", "sqs", "s3", "ssm", "sts"}
RUBBISH = (
    *("bin", ".lock", "**/__pycache__", "**/*.pyi", "**/*.pyx", "psycopg_binary/**/*.c"),
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    # Keep dbt/tests: the adapters import it.
    *("*.dist-info/direct_url.json", "networkx/**/tests", "jsonschema/tests"),
)
WHEN = (1980, 1, 1, 0, 0, 0)


class PackageError(Exception):
    """A package that must not be deployed: it is too big or grew too much."""


@dataclass(frozen=True)
class Size:
    """Bytes of a package, zipped and unzipped."""

    zipped: int
    unzipped: int


FUNCTIONS = {
    "ingest": ("ingest", "dora"),
    "transform": ("transform", "dora", "dbt_project", "profiles.yml"),
    "api": ("api", "dora", "dashboard/dist"),
}


def make_all(
    out: Path, architecture: str = ARCHITECTURE, python: str = PYTHON
) -> dict[str, tuple[Path, Size]]:
    """Build every package in the folder `out`; return each with its size."""
    with ThreadPoolExecutor() as pool:
        made = pool.map(lambda function: make(function, out, architecture, python), FUNCTIONS)
        return dict(zip(FUNCTIONS, made, strict=True))


def make(
    function: str, out: Path, architecture: str = ARCHITECTURE, python: str = PYTHON
) -> tuple[Path, Size]:
    """Build one package in the folder `out`; return its path and size."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _install(function, folder, architecture, python)
        _prune(folder)
        for name in FUNCTIONS[function]:
            _copy(name, folder)
        if function == "transform":
            _parse(folder)
        out.mkdir(parents=True, exist_ok=True)
        return _zip(folder, out / f"{function}.zip")


def check(sizes: dict[str, Size], committed: Path = SIZES) -> None:
    """Compare the sizes with Lambda's limit and with the committed sizes.

    Raises `PackageError` with every package that is over the limit, that grew by more than a fifth
    or that has no committed size.
    """
    before = json.loads(committed.read_text("utf-8")) if committed.exists() else {}
    faults = []
    for name, size in sizes.items():
        if size.unzipped > LIMIT:
            faults.append(f"{name} has {size.unzipped:,} bytes unzipped; Lambda accepts {LIMIT:,}")
        for kind, now in vars(size).items():
            then = before.get(name, {}).get(kind)
            if then is None:
                faults.append(f"{name} is not in {committed.name}")
            elif now > then * GROWTH:
                faults.append(f"{name}: {kind} grew from {then:,} to {now:,} bytes")
    if faults:
        faults.append("if this is intended, run make package ACCEPT=1 and commit the sizes")
        raise PackageError("\n".join(faults))


def _install(function: str, folder: Path, architecture: str, python: str) -> None:
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"),
        *("--target", str(folder), "--python-version", python),
        *("--python-platform", f"{architecture}-manylinux_2_28", "--only-binary", ":all:"),
        *("--no-compile-bytecode", "--require-hashes"),
        *("-r", str(ROOT / "requirements" / f"{function}.txt")),
    ]
    subprocess.run(command, check=True)


def _prune(folder: Path) -> None:
    for pattern in RUBBISH:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (folder / "botocore" / "data").iterdir():
        if path.is_dir() and path.name not in SERVICES:
            shutil.rmtree(path)
    # dbt prints tables with agate, which needs the English number format only.
    for path in folder.glob("babel/locale-data/*.dat"):
        if path.stem not in {"root", "en", "en_US"}:
            path.unlink()


def _copy(name: str, folder: Path) -> None:
    source = ROOT / name
    if source.is_file():
        shutil.copy(source, folder / name)
    elif source.is_dir():
        ignored = ["__pycache__", "target", "logs", "*.log", "analyses", ".*"]
        ignored += LAPTOP if name == "dora" else []
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(*ignored))


def _parse(folder: Path) -> None:
    """Add dbt's parsed project to the package."""
    packaged = (
        next(folder.glob("dbt_core-*.dist-info")).name.removesuffix(".dist-info").split("-")[1]
    )
    if packaged != version("dbt-core"):
        raise PackageError(
            f"the package has dbt-core {packaged}, but {version('dbt-core')} would parse the "
            "project: install the locked version"
        )
    script = Path(__file__).with_name("precompile_dbt.py")
    # Ignore the caller's PYTHONPATH and dbt settings; iterate sets in a fixed order.
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "HOME": str(folder.parent)}
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, str(script), str(folder / "dbt_project"), scratch]
        subprocess.run(command, check=True, env=environment, cwd=scratch)


def _zip(folder: Path, path: Path) -> tuple[Path, Size]:
    total = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(found for found in folder.rglob("*") if found.is_file()):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), WHEN)
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            content = file.read_bytes()
            total += len(content)
            archive.writestr(info, content)
    return path, Size(path.stat().st_size, total)


def main() -> None:
    """Build all three, print their sizes, and exit with 1 if `check` fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--architecture", default=ARCHITECTURE, choices=["aarch64", "x86_64"])
    parser.add_argument("--accept-sizes", action="store_true", help="write package_sizes.json")
    options = parser.parse_args()
    sizes = {}
    for function, (path, size) in make_all(options.out, options.architecture).items():
        sizes[function] = size
        print(f"{path}: {size.zipped / 1e6:.1f} MB, unzipped {size.unzipped / 1e6:.1f} MB")
    if options.accept_sizes:
        text = json.dumps({name: vars(size) for name, size in sizes.items()}, indent=2)
        SIZES.write_text(f"{text}\n", "utf-8")
    try:
        check(sizes)
    except PackageError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
