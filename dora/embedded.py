"""The embedded PostgreSQL server under `DORA_HOME`: started when wanted, shared, left running.

What `DORA_HOME` holds of it:

- `postgres.json` (0600): its password, its port, and its folder where that is elsewhere;
- `postgres.lock`: held while one command starts or stops it;
- `postgres.running`: held by every process of the server, so that whether one lives needs no pid;
- `postgres.log`, `postgres/`: its log, its data.
"""

import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil  # type: ignore[import-untyped]
import psycopg
from psycopg import sql

from dora.errors import UnavailableError
from dora.place import Place, last_words, settle

logger = logging.getLogger(__name__)

HOST, LOGIN, DATABASE = "127.0.0.1", "dora", "dora"
START_SECONDS = 60.0
# How long the children of a killed postmaster get to go by themselves.
GRACE_SECONDS = 3.0
# Below the range from which Linux and macOS give ports to outgoing connections.
_PORTS = range(20_000, 30_000)
_ENCODING = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "random_page_cost": "1.1",
    "jit": "off",
    # dbt builds several models at once already; and /dev/shm is small in containers.
    "max_parallel_workers_per_gather": "0",
    # Nobody replicates from it: what fills a table that the same transaction made is synced once.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class Embedded:
    """A running server: its address for whoever is on this machine and has the password."""

    port: int
    password: str = field(repr=False)

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL of one of its databases."""
        return f"postgresql://{LOGIN}:{self.password}@{HOST}:{self.port}/{database}"

    def create_database(self, name: str) -> None:
        """Make a database, unless it is there."""
        query = "select exists (select from pg_database where datname = %s)"
        with self._connect() as connection:
            row = connection.execute(query, [name]).fetchone()
            if row == (False,):
                # Somebody else may be making it at this moment.
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    statement = sql.SQL("create database {}").format(sql.Identifier(name))
                    connection.execute(statement)

    def answers(self) -> bool:
        """Whether it takes connections now; raise `UnavailableError` if it refuses the password."""
        try:
            self._connect().close()
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                raise UnavailableError(
                    f"the embedded database at {HOST}:{self.port} refuses the password in "
                    "postgres.json; delete that file to have a new one set"
                ) from None
            return False
        return True

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5)


def start(home: Path) -> Embedded:
    """Start the server under `home`, or find it running; make the database `dora`.

    Safe to call from several processes at once. Raise `UnavailableError` with the server's
    last words where it does not start.
    """
    home = home.expanduser().resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home):
            server = _Server.under(home)
            running = server.wait_until_ready() or server.launch()
    except OSError as error:
        raise UnavailableError(f"the embedded database in {home}: {error}") from error
    running.create_database(DATABASE)
    return running


def stop(home: Path) -> bool:
    """Stop the server under `home`; return whether one was running."""
    home = home.expanduser().resolve()
    if not (home / "postgres.json").exists():
        return False
    try:
        with _locked(home):
            return _Server.under(home).stop()
    except OSError as error:
        raise UnavailableError(f"the embedded database in {home}: {error}") from error


@dataclass
class _Server:
    """The server of one home, seen by whoever holds that home's lock."""

    home: Path
    place: Place
    password: str
    port: int

    @classmethod
    def under(cls, home: Path) -> "_Server":
        path = home / "postgres.json"
        state = json.loads(path.read_text()) if path.exists() else {}
        recorded = Path(state["folder"]) if "folder" in state else None
        place = settle(home, recorded)
        server = cls(
            home,
            place,
            state.get("password") or secrets.token_urlsafe(24),
            state.get("port") or _first_free(_usual_port(home)),
        )
        if not state and place.data.exists():
            server.set_password()
        if not state or place.folder != (recorded or home / "postgres"):
            server.record()
        return server

    def record(self) -> None:
        state: dict[str, Any] = {"password": self.password, "port": self.port}
        if self.place.folder.parent != self.home:
            state["folder"] = str(self.place.folder)
        path = self.home / "postgres.json"
        with _private(self.home / "postgres.json.new") as file:
            file.truncate(0)
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        path.with_name("postgres.json.new").replace(path)

    def launch(self) -> Embedded:
        """Start it, on its port or the next free one."""
        if not (self.place.data / "PG_VERSION").exists():
            self.initialise()
        # Whatever process has that pid now, it is no server on this data.
        (self.place.data / "postmaster.pid").unlink(missing_ok=True)
        for _ in range(3):
            port = _first_free(self.port)
            if port != self.port:
                logger.warning("port %d is taken; the embedded database uses %d", self.port, port)
            log = self._spawn(port)
            if running := self.wait_until_ready():
                return running
            if "could not bind" not in (reason := log.read_text(errors="replace")):
                break
        raise UnavailableError(
            f"the embedded database did not start: {last_words(reason)} (see {log})"
        )

    def _spawn(self, port: int) -> Path:
        log = self.home / "postgres.log"
        if log.exists():
            log.replace(log.with_name("postgres.log.1"))
        options = f"-c port={port} -c listen_addresses={HOST} -c unix_socket_directories="
        with _private(log) as output, _private(self.home / "postgres.running") as running:
            fcntl.flock(running, fcntl.LOCK_EX)
            self.place.run(
                *("pg_ctl", "start", "--no-wait", "--pgdata", self.place.data, "-o", options),
                stdout=output,
                stderr=output,
                pass_fds=[running.fileno()],
                start_new_session=True,
            )
        return log

    def wait_until_ready(self) -> Embedded | None:
        """Wait for a server that runs; None where none does. Ends what a dead one left behind."""
        deadline, grace = time.monotonic() + START_SECONDS, time.monotonic() + GRACE_SECONDS
        while self.is_alive():
            port = self._listening_port()
            if port and (running := Embedded(port, self.password)).answers():
                return running
            if time.monotonic() > grace and self.postmaster() is None:
                self._end_orphans()
            if time.monotonic() > deadline:
                log = self.home / "postgres.log"
                words = last_words(log.read_text(errors="replace")) if log.exists() else ""
                raise UnavailableError(
                    f"the embedded database gives no answer after {START_SECONDS:.0f} s: {words}"
                )
            time.sleep(0.02)
        return None

    def is_alive(self) -> bool:
        """Whether any process of the server lives: a postmaster, or a killed one's children."""
        with _private(self.home / "postgres.running") as running:
            try:
                fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return self.postmaster() is not None

    def postmaster(self) -> psutil.Process | None:
        """The process of `postmaster.pid`, if that is a living server on this data."""
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            pid = int((self.place.data / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and self._is_ours(process):
                return process
        return None

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return bool(process.cwd() == str(self.place.data.resolve()))
        except psutil.AccessDenied:
            return bool(process.name() == "postgres")

    def _listening_port(self) -> int | None:
        """The fourth line of `postmaster.pid`, there once the server knows it."""
        with suppress(OSError, ValueError, IndexError):
            return int((self.place.data / "postmaster.pid").read_text().splitlines()[3])
        return None

    def _end_orphans(self) -> None:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "postgres" and self._is_ours(process):
                    process.kill()

    def stop(self) -> bool:
        """Disconnect everybody and shut down in good order, or failing that at once."""
        if not self.is_alive():
            return False
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if process := self.postmaster():
                process.send_signal(number)
            if _within(30, lambda: not self.is_alive()):
                return True
        self._end_orphans()
        return True

    def initialise(self) -> None:
        """Make the data folder: beside its place first, so that a half-made one is never found."""
        for left_over in self.place.folder.glob("initdb-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.place.folder))
        password = temporary / "password"
        password.write_text(self.password)
        for path in (temporary, password):
            os.chown(path, self.place.account.uid, self.place.account.gid)
        settings = [part for pair in _SETTINGS.items() for part in ("-c", "=".join(pair))]
        self.place.run(
            *("initdb", "--pgdata", temporary / "data", "--username", LOGIN),
            *("--auth=scram-sha-256", "--pwfile", password, "--locale=C", *_ENCODING, *settings),
        )
        (temporary / "data").rename(self.place.data)
        shutil.rmtree(temporary)

    def set_password(self) -> None:
        """Give the login a new password: the file with the old one is gone."""
        self.stop()
        (self.place.data / "postmaster.pid").unlink(missing_ok=True)
        statement = f"alter role {LOGIN} password '{self.password}'"
        self.place.run(
            *("postgres", "--single", "-D", self.place.data, "postgres"),
            input=statement,
            stdin=None,
        )


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    with _private(home / "postgres.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _private(path: Path) -> IO[str]:
    """Open a file that only its owner may read: the owner of its folder, also where root makes it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a")
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)
    return file


def _usual_port(home: Path) -> int:
    digest = hashlib.sha256(str(home).encode()).digest()
    return _PORTS[int.from_bytes(digest[:4], "big") % len(_PORTS)]


def _first_free(first: int) -> int:
    for port in (*range(first, _PORTS.stop), *range(_PORTS.start, first)):
        with socket.socket() as candidate, suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind((HOST, port))
            return port
    raise UnavailableError(f"the embedded database: no port is free on {HOST}")


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
