"""The `dora` command as a user meets it: exit codes, what goes where, all faults at once."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo.github import GitHub
from demo.organisation import Organisation, generate
from demo.server import Server, serve
from dora.database import Database
from dora.dbt import LOCK

TOKEN = "ghp_not_to_be_shown_anywhere"
Dora = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return generate(seed=5, pull_requests=200, repositories=2)


@pytest.fixture(scope="module")
def hub(organisation: Organisation) -> Iterator[Server]:
    clock = datetime.fromisoformat(organisation.end).astimezone(UTC).timestamp() + 3600
    with serve(GitHub.from_organisation(organisation), token=TOKEN, clock=lambda: clock) as hub:
        yield hub


@pytest.fixture
def dora(database: Database, hub: Server, organisation: Organisation, tmp_path: Path) -> Dora:
    """Run `dora` in an empty folder with a good configuration, changed by keyword arguments."""
    good = {
        "GITHUB_PAT": TOKEN,
        "GITHUB_API_URL": hub.url,
        "REPOSITORIES": ",".join(found.name_with_owner for found in hub.github.repositories()),
        "TEAM_CONFIG_JSON": json.dumps(organisation.team_config()),
        "DB_URL": database.url,
        "DORA_HOME": str(tmp_path / "home"),
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    base = {name: value for name, value in os.environ.items() if name not in good}

    def run(*arguments: str, **changes: str | None) -> "subprocess.CompletedProcess[str]":
        merged = base | good | changes
        environment = {name: value for name, value in merged.items() if value is not None}
        return subprocess.run(
            [sys.executable, "-m", "dora", *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def test_from_nothing_to_the_last_weeks_of_every_team(dora: Dora) -> None:
    done = dora("run", "--no-serve")
    assert done.returncode == 0, done.stderr
    assert "200 pull requests" in done.stdout
    assert "dbt build:" in done.stdout
    assert "Payments" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    for line in done.stderr.splitlines():
        assert json.loads(line)["message"]


def test_every_fault_of_the_configuration_is_told_in_one_message(dora: Dora) -> None:
    done = dora(
        "ingest",
        GITHUB_PAT=None,
        REPOSITORIES="not-a-repository",
        TEAM_CONFIG_JSON='[{"name": "A", "members": [], "colour": "red"}]',
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    faults = done.stderr.splitlines()
    assert len(faults) == 3
    assert all(fault.startswith("dora: ") for fault in faults)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"DB_URL": "mysql://a/b"}, "DB_URL is no Postgres URL", id="no Postgres"),
        pytest.param({"GITHUB_PAT": "wrong"}, "GitHub refused the token", id="refused token"),
        pytest.param({"GITHUB_PAT": "two words"}, "GITHUB_PAT is no token", id="no token"),
        pytest.param(
            {"GITHUB_API_URL": "http://me:secret@127.0.0.1"}, "has a user", id="password in address"
        ),
        pytest.param({"GITHUB_API_URL": "http://x:99999"}, "GITHUB_API_URL", id="no such port"),
        pytest.param({"GITHUB_API_URL": "ftp://x"}, "GITHUB_API_URL", id="no http address"),
        pytest.param({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL", id="no log level"),
    ],
)
def test_a_bad_setting_is_refused_in_one_line(
    dora: Dora, changes: dict[str, str], said: str
) -> None:
    done = dora("ingest", **changes)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "two words" not in done.stderr
    assert "secret" not in done.stderr


def test_a_database_that_is_away_is_said_in_one_line(dora: Dora) -> None:
    done = dora("ingest", DB_URL="postgresql://me:a-password@127.0.0.1:1/none")
    assert done.returncode == 69
    assert len(done.stderr.splitlines()) == 1
    assert "127.0.0.1:1/none" in done.stderr
    assert "a-password" not in done.stderr


def test_a_home_that_cannot_be_written_is_said(dora: Dora, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("", "utf-8")
    done = dora("ingest", DORA_HOME=str(tmp_path / "a-file"))
    assert done.returncode == 2
    assert "DORA_HOME cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_github_away_is_69(dora: Dora, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import ingest.github.client as client\nclient.ATTEMPTS = 1\n", "utf-8"
    )
    done = dora("ingest", GITHUB_API_URL="http://127.0.0.1:9", PYTHONPATH=str(tmp_path))
    assert done.returncode == 69, done.stderr
    assert "127.0.0.1:9" in done.stderr


def test_a_repository_out_of_reach_makes_one_and_is_named(dora: Dora, hub: Server) -> None:
    names = [found.name_with_owner for found in hub.github.repositories()]
    done = dora("ingest", REPOSITORIES=",".join([*names, "acme/none"]))
    assert done.returncode == 1
    assert "acme/none" in done.stderr
    assert "200 pull requests" in done.stdout


def test_dbt_that_fails_is_three_and_says_why(dora: Dora) -> None:
    done = dora("build", "--vars", '{"attribution_instant": "sometimes"}')
    assert done.returncode == 3
    assert "attribution_instant" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_build_waits_for_the_first(dora: Dora, database: Database) -> None:
    assert dora("db", "init").returncode == 0
    only = ("--select", "stg_teams__teams", "--exclude", "test_type:data")
    with ThreadPoolExecutor() as executor:
        with database.connect(autocommit=True) as first:
            first.execute("select pg_advisory_lock(%s)", [LOCK])
            second = executor.submit(dora, "build", *only)
            waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            deadline = time.monotonic() + 60
            while first.execute(waiting).fetchone() == (0,):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        done = second.result()
    assert done.returncode == 0, done.stderr
    assert "another build is under way" in done.stderr


def test_a_bare_dbt_build_works_with_what_db_env_prints(dora: Dora, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    exports = dora("db", "env")
    assert exports.returncode == 0
    assert all(line.startswith("export PG") for line in exports.stdout.splitlines())
    dbt = Path(sys.executable).parent / "dbt"
    done = subprocess.run(
        f"{exports.stdout}\n{dbt} build --project-dir dbt_project --exclude test_type:unit",
        shell=True,
        cwd=root,
        env=os.environ | {"DBT_TARGET_PATH": str(tmp_path / "target")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_team_configuration_can_be_checked(
    dora: Dora, organisation: Organisation, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(organisation.team_config()), "utf-8")
    bad.write_text('[{"name": "A", "members": [{"github_username": "x"}]}]', "utf-8")
    assert "good: 7 teams" in dora("teams", "check", str(good)).stdout
    refused = dora("teams", "check", str(bad))
    assert refused.returncode == 2
    assert "joined_at" in refused.stderr


def test_a_new_key_is_shown_once_with_its_entry(dora: Dora) -> None:
    done = dora("keys", "new", "bi", "--team", "payments")
    key, entry = done.stdout.splitlines()
    assert done.returncode == 0
    assert json.loads(entry)["teams"] == ["payments"]
    assert key not in entry
    assert key not in done.stderr


def test_a_word_that_is_no_command_is_two(dora: Dora) -> None:
    assert dora("frobnicate").returncode == 2
