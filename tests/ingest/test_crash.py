"""After a crash at any point, the next run has GitHub's rows, none missing or duplicated."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dlt.pipeline.pipeline import Pipeline

from demo.github import GitHub
from demo.organisation import Organisation, generate
from demo.server import Server, serve
from dora import embedded_postgres
from dora.database import Database
from dora.errors import StoppedEarly, UnavailableError
from dora.settings import Settings
from ingest.config import read_config
from ingest.fetch_and_load import FetchAndLoad
from ingest.loader import Loader
from ingest.lock import KEY, Lock
from ingest.pipeline import run
from ingest.run_result import RunResult
from tests.ingest.truth import prs, rows, unlike

Ingest = Callable[..., RunResult]
ROOT = Path(__file__).resolve().parents[2]


class _Cut(Exception):
    """An unexpected error that ends a run."""


def _cut(*_: Any, **__: Any) -> None:
    raise _Cut


@pytest.mark.parametrize("request_number", range(1, 10))
def test_a_run_cut_off_at_any_request_loses_nothing(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
    request_number: int,
) -> None:
    from ingest.github.client import GitHub as Client

    true_send = Client._send
    sent = 0

    async def send(self: Client, *arguments: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == request_number:
            raise _Cut
        return await true_send(self, *arguments)

    monkeypatch.setattr("ingest.fetch_and_load.LAND_AFTER", 60)
    monkeypatch.setattr(Client, "_send", send)
    with pytest.raises(_Cut):
        ingest()
    assert ingest().exit_code == 0
    assert unlike(database, github) == []


def command_environment(settings: Settings, database: Database) -> dict[str, str]:
    assert settings.github_pat is not None
    return os.environ | {
        "GITHUB_PAT": settings.github_pat.get_secret_value(),
        "GITHUB_API_URL": settings.github_api_url,
        "REPOSITORIES": str(settings.repositories),
        "TEAM_CONFIG_JSON": str(settings.team_config_json),
        "DB_URL": database.url,
        "DORA_HOME": str(settings.dora_home),
    }


def test_runs_that_are_killed_leave_nothing_half_done(
    ingest: Ingest, database: Database, github: GitHub, settings: Settings
) -> None:
    """Each is killed at a random instant."""
    chance = random.Random(4)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-m", "cli", "ingest"],
            cwd=ROOT,
            env=command_environment(settings, database),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(chance.uniform(1.0, 4.0))
            process.kill()
    assert ingest().exit_code == 0
    assert unlike(database, github) == []
    assert (
        rows(database, "select 1 from raw.user_logins group by user_id, login having count(*) > 1")
        == []
    )


def test_an_interrupted_run_says_so_in_its_row(
    database: Database, settings: Settings, hub: Server
) -> None:
    arrived = threading.Event()

    def wait(operation: str | None, variables: Any) -> None:
        if operation == "Walk":
            arrived.set()
            time.sleep(0.5)

    hub.before_request = wait
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "ingest"],
        cwd=ROOT,
        env=command_environment(settings, database),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert arrived.wait(30)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "dora: interrupted; run again to continue"
    [row] = rows(database, "select status, exit_code from raw.ingest_runs")
    assert row == {"status": "interrupted", "exit_code": 130}


@pytest.fixture
def own_database(home: Path) -> Database:
    """A database on a server that the test may restart."""
    return Database(embedded_postgres.start(home).url())


def test_a_database_restarted_while_it_is_loaded_loses_nothing(
    own_database: Database, home: Path, tmp_path: Path
) -> None:
    organisation = generate(seed=3, pull_requests=1500, repositories=3)
    github = GitHub.from_organisation(organisation)
    walks = 0

    def restart(operation: str | None, variables: Any) -> None:
        nonlocal walks
        walks += operation == "Walk"
        if operation == "Walk" and walks in {8, 22}:
            embedded_postgres.stop(home)
            embedded_postgres.start(home)

    with serve(github, token="t") as hub:
        hub.before_request = restart
        settings = Settings(
            _env_file=None,
            github_pat="t",
            github_api_url=hub.url,
            repositories=",".join(found.name_with_owner for found in github.repositories()),
            team_config_json=json.dumps(organisation.team_config()),
        )
        first = run(read_config(settings), own_database, tmp_path)
        assert first is not None
        assert first.exit_code == 0
        assert walks > 22
        second = run(read_config(settings), own_database, tmp_path)
    assert second is not None
    assert second.exit_code == 0
    assert unlike(own_database, github) == []


def test_a_database_that_goes_away_in_mid_load_is_waited_for(
    own_database: Database,
    home: Path,
    settings: Settings,
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    true_load = Pipeline.load
    back = threading.Timer(1.5, embedded_postgres.start, [home])

    def load(pipeline: Pipeline, *arguments: Any, **options: Any) -> Any:
        if not back.ident:
            embedded_postgres.stop(home)
            back.start()
        return true_load(pipeline, *arguments, **options)

    monkeypatch.setattr(Pipeline, "load", load)
    result = run(read_config(settings), own_database, tmp_path)
    assert result is not None
    assert result.exit_code == 0
    back.join()
    assert unlike(own_database, github) == []


def test_a_lock_that_the_server_forgot_is_taken_again_unless_somebody_else_has_it(
    own_database: Database, home: Path, tmp_path: Path
) -> None:
    from dora.database import initialise
    from ingest.pipeline import make_tables

    initialise(own_database)
    make_tables(own_database, tmp_path)
    with Lock(own_database) as ours:
        ours.landed()
        embedded_postgres.stop(home)
        embedded_postgres.start(home)
        ours.confirm()
        assert ours.is_held
        embedded_postgres.stop(home)
        embedded_postgres.start(home)
        with Lock(own_database) as theirs:
            assert theirs.is_held
            with pytest.raises(StoppedEarly, match="took over"):
                ours.confirm()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with very little space."""
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_in_one_line(
    database: Database, settings: Settings, small_disk: Path, ingest: Ingest, github: GitHub
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "ingest"],
        cwd=ROOT,
        env=command_environment(settings, database) | {"DORA_HOME": str(small_disk)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 69
    assert f"{small_disk}" in done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert ingest().exit_code == 0
    assert unlike(database, github) == []


def test_a_package_left_by_a_killed_run_does_not_undo_what_landed_since(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    organisation: Organisation,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The /tmp of a warm container has an old package; another container loaded newer rows."""
    ingest()
    at = datetime.fromisoformat(organisation.end)
    pull_request = prs(github)[0]
    github.edit(pull_request, at + timedelta(hours=1), title="Old news")
    warm = tmp_path / "warm"
    with monkeypatch.context() as killed:
        killed.setattr(Pipeline, "load", _cut)
        killed.setattr(Loader, "close", lambda landing: None)
        with pytest.raises(_Cut):
            ingest(dora_home=warm)
    assert any(b"Old news" in path.read_bytes() for path in warm.rglob("*") if path.is_file())
    github.edit(pull_request, at + timedelta(hours=2), title="News")
    ingest(dora_home=tmp_path / "another")
    ingest(dora_home=warm)
    assert unlike(database, github) == []


def test_a_database_that_stays_away_ends_the_run_and_the_next_mends_it(
    own_database: Database,
    home: Path,
    settings: Settings,
    github: GitHub,
    hub: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("ingest.fetch_and_load.LAND_AFTER", 100)
    walks = 0

    def stop(operation: str | None, variables: Any) -> None:
        nonlocal walks
        walks += operation == "Walk"
        if walks == 5:
            embedded_postgres.stop(home)

    hub.before_request = stop
    config = read_config(settings)
    result = run(config, own_database, tmp_path)
    assert result is not None
    assert result.exit_code == 69
    assert "failed while loading" in result.messages[-1]
    hub.before_request = None
    embedded_postgres.start(home)
    there = rows(own_database, "select count(*) as n from raw.pull_requests")
    assert there == [{"n": result.pull_requests}]
    again = run(config, own_database, tmp_path)
    assert again is not None
    assert again.exit_code == 0
    assert unlike(own_database, github) == []


@pytest.mark.parametrize("turns", [0, 1, 4, 8])
def test_who_ends_a_run_does_not_wait_for_pages_that_nobody_reads(turns: int) -> None:
    async def walk() -> AsyncIterator[Any]:
        while True:
            await asyncio.sleep(0)
            yield None

    async def main() -> None:
        pages: asyncio.Queue[Any] = asyncio.Queue(maxsize=8)
        produce: Any = FetchAndLoad._produce
        producer = asyncio.create_task(produce(None, deque([walk(), walk()]), pages))
        while not pages.full():
            await asyncio.sleep(0)
        # First the run cancels it, then asyncio, which cancels every task.
        producer.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        producer.cancel()
        _, pending = await asyncio.wait([producer], timeout=2)
        assert not pending

    asyncio.run(main())


def cut_off(database: Database) -> None:
    """End every connection to a database, as a restarting proxy does."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() "
            "and application_name <> 'another run'"
        )


def test_connections_cut_as_a_run_opens_end_it_and_the_next_goes_on(
    ingest: Ingest, database: Database, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_landed = Lock.landed

    def landed(lock: Lock, load_id: str | None = None) -> None:
        cut_off(database)
        true_landed(lock, load_id)

    with monkeypatch.context() as cut:
        cut.setattr(Lock, "landed", landed)
        with pytest.raises(UnavailableError, match="is unavailable"):
            ingest()
    assert ingest().exit_code == 0
    assert unlike(database, github) == []


def test_a_database_that_goes_away_as_a_run_opens_is_said_in_one_line(
    own_database: Database,
    home: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    true_sync = Pipeline.sync_destination

    def sync(pipeline: Pipeline, *arguments: Any, **options: Any) -> Any:
        embedded_postgres.stop(home)
        return true_sync(pipeline, *arguments, **options)

    monkeypatch.setattr(Pipeline, "sync_destination", sync)
    with pytest.raises(UnavailableError, match="is unavailable") as raised:
        run(read_config(settings), own_database, tmp_path)
    assert "\n" not in str(raised.value)


def test_connections_cut_after_a_landing_are_not_taken_for_another_run(
    ingest: Ingest, database: Database, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock must know that the last load is from this run."""
    true_landed = Lock.landed

    def landed(lock: Lock, load_id: str | None = None) -> None:
        if load_id:
            cut_off(database)
        true_landed(lock, load_id)

    monkeypatch.setattr("ingest.fetch_and_load.LAND_AFTER", 60)
    monkeypatch.setattr(Lock, "landed", landed)
    assert ingest().exit_code == 0
    assert unlike(database, github) == []


@pytest.mark.parametrize("another", ["is in progress", "has loaded", ""])
def test_a_run_whose_lock_went_to_another_lands_no_more(
    ingest: Ingest,
    database: Database,
    github: GitHub,
    hub: Server,
    monkeypatch: pytest.MonkeyPatch,
    another: str,
) -> None:
    """If there is no other run, it continues."""
    monkeypatch.setattr("ingest.fetch_and_load.LAND_AFTER", 60)
    there = "select count(*) as n from raw.pull_requests"
    landed: list[int] = []

    def take_over(operation: str | None, variables: Any) -> None:
        if not landed and (n := rows(database, there)[0]["n"]):
            landed.append(n)
            cut_off(database)
            if another == "is in progress":
                other.execute("select pg_advisory_lock(%s)", [KEY])
            elif another == "has loaded":
                other.execute("update raw._dlt_loads set load_id = load_id || '9'")

    hub.before_request = take_over
    with database.connect(autocommit=True, application_name="another run") as other:
        result = ingest()
    assert landed
    if another:
        assert (result.status, result.exit_code) == ("continue", 75)
        assert "another run took over" in result.messages[-1]
        assert rows(database, there)[0]["n"] == landed[0]
        hub.before_request = None
        result = ingest()
    assert (result.status, result.exit_code) == ("complete", 0)
    assert unlike(database, github) == []
