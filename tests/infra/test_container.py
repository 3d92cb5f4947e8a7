"""The container's files name everything that the image needs; it is built elsewhere."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PAGES = re.search(r"const pages = \[(.*?)\]", (ROOT / "dashboard" / "vite.config.ts").read_text())
NEEDED = [*PACKAGES, *(f"docs/{name}.md" for name in re.findall(r"'(\w+)'", PAGES[1]))]


@pytest.mark.parametrize("path", NEEDED)
def test_image_gets_every_package_and_every_page_of_the_dashboard(path: str) -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert path in " ".join(copied).split()
    assert f"!{path}" in (ROOT / ".dockerignore").read_text().splitlines()
