"""The token, the app's key and its tokens appear only in the requests to GitHub."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from demo.github import GitHub
from demo.github_app import Installation
from demo.server import Fault, Server
from dora.database import Database
from dora.settings import Settings
from ingest.config import read_config
from ingest.pipeline import run
from tests.ingest.simulated import SimulatedClock
from tests.ingest.test_crash import ROOT, command_environment
from tests.ingest.test_credentials import PRIVATE, PUBLIC
from tests.ingest.truth import prs, rows

PAT = "ghp_thisisnottobefoundanywhere0123456789"


@pytest.fixture
def installation(hub: Server) -> Installation:
    installation = Installation("12345", "678", PUBLIC)
    hub.installations[installation.path] = installation
    return installation


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that dora and its libraries log, at every level."""
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield told
    root.removeHandler(handler)
    root.setLevel(before)


def everything_in(database: Database) -> str:
    """Every table of every schema as text, including dlt's tables."""
    tables = rows(
        database,
        "select table_schema, table_name from information_schema.tables "
        "where table_schema not in ('pg_catalog', 'information_schema')",
    )
    with database.connect() as connection:
        text = []
        for table in tables:
            name = f'"{table["table_schema"]}"."{table["table_name"]}"'
            text += [str(row) for row in connection.execute(f"select * from {name}".encode())]
    return "\n".join(text)


def fail_sometimes() -> Any:
    """Cause faults during the run for which the ingest writes messages."""
    faults = [
        Fault(status=502, body="<html>"),
        Fault(reset=True),
        Fault(status=403, headers={"Retry-After": "5"}, body="{}"),
        Fault(cut=30),
    ]
    return lambda operation, variables: (
        faults.pop() if operation == "Walk" and faults and variables["after"] else None
    )


@pytest.mark.parametrize("kind", ["token", "app"])
def test_no_secret_in_a_log_a_message_a_table_or_a_file(
    database: Database,
    github: GitHub,
    hub: Server,
    settings: Settings,
    installation: Installation,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
) -> None:
    github.edit(prs(github)[0], None, is_unreadable=True)
    hub.tokens = {PAT}
    hub.before_request = fail_sometimes()
    app = {
        "github_pat": None,
        "github_app_id": "12345",
        "github_app_installation_id": "678",
        "github_app_private_key": SecretStr(PRIVATE),
    }
    changes = app if kind == "app" else {"github_pat": SecretStr(PAT)}
    files: list[bytes] = []
    from ingest.loader import Loader

    true_close = Loader.close

    def close(self: Loader) -> None:
        files.extend(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        true_close(self)

    monkeypatch.setattr(Loader, "close", close)
    configured = settings.model_copy(update=changes)
    result = run(read_config(configured), database, tmp_path, clock=SimulatedClock())
    assert result is not None
    assert result.exit_code == 1
    hub.tokens = set()
    hub.installations.clear()
    told = [log.getvalue(), repr(result), repr(configured), everything_in(database)]
    try:
        run(read_config(configured), database, tmp_path, clock=SimulatedClock())
    except Exception as error:
        told += [str(error), repr(error), repr(error.__cause__)]
    told += [content.decode("utf-8", "replace") for content in files]
    body = PRIVATE.split("\n")[1]
    for secret in (PAT, body, *installation.given):
        assert not [text[:200] for text in told if secret in text]
    # These assertions show that the search covers the right places.
    assert "GitHub" in told[0]
    assert prs(github)[5].id in told[3]
    assert any(prs(github)[5].id.encode() in content for content in files)
    assert len(installation.given) == (kind == "app")


def test_a_command_that_is_refused_shows_no_token(
    database: Database, hub: Server, settings: Settings
) -> None:
    hub.tokens = set()
    environment = command_environment(settings, database) | {"GITHUB_PAT": PAT}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "ingest"],
        cwd=ROOT,
        env=environment | {"LOG_LEVEL": "DEBUG"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert "refused the token" in done.stderr
    assert PAT not in done.stdout + done.stderr
