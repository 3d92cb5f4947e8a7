"""Start, find, wait for and stop the processes of the embedded server.

Every process of the server inherits a lock on `DORA_HOME/postgres.running`, which shows whether
any of them is alive. A pid does not: after a reboot another process may have it.
"""

import fcntl
import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil  # type: ignore[import-untyped]
import psycopg
from psycopg import sql

from dora.embedded_postgres.location import Place, last_words
from dora.errors import UnavailableError

logger = logging.getLogger(__name__)

HOST, LOGIN, DATABASE = "127.0.0.1", "dora", "dora"
# Below the ephemeral ports of Linux and macOS.
PORTS = range(20_000, 30_000)
START_SECONDS = 60.0
STOP_SECONDS = 30.0
# How long the children of a killed postmaster may take to exit.
GRACE_SECONDS = 3.0
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
    # dbt already builds several models at once, and /dev/shm is small in containers.
    "max_parallel_workers_per_gather": "0",
    # There are no replicas: rows of a table that the same transaction created need no WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class Embedded:
    """The address of a running server, which only this machine can reach."""

    port: int
    password: str = field(repr=False)

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL of one of its databases."""
        return f"postgresql://{LOGIN}:{self.password}@{HOST}:{self.port}/{database}"

    def create_database(self, name: str) -> None:
        """Create a database unless it exists."""
        query = "select exists (select from pg_database where datname = %s)"
        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        try:
            with self._connect() as connection:
                if connection.execute(query, [name]).fetchone() == (False,):
                    connection.execute(statement)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            logger.debug("another process has just created the database %s", name)
        except psycopg.OperationalError as error:
            raise UnavailableError(f"the embedded database: {error}") from None

    def answers(self) -> bool:
        """Whether it accepts connections; raise `UnavailableError` if it rejects the password."""
        try:
            self._connect().close()
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                raise UnavailableError(
                    f"the embedded database at {HOST}:{self.port} rejects the password in "
                    "postgres.json; delete that file to set a new password"
                ) from None
            return False
        return True

    def _connect(self) -> psycopg.Connection[Any]:
        # Ignore the shell's PGOPTIONS: `dora db env` sets a role in it.
        return psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5, options="")


@dataclass
class Postmaster:
    """The server of one home; the caller must hold that home's lock."""

    home: Path
    place: Place
    password: str
    port: int

    def wait_until_ready(self) -> Embedded | None:
        """Wait for a running server; None if none runs. Kills children of a dead postmaster."""
        began = time.monotonic()
        while self.is_alive():
            port = self._listening_port()
            if port and (running := Embedded(port, self.password)).answers():
                return running
            waited = time.monotonic() - began
            if waited > GRACE_SECONDS and self.process() is None:
                self._end_orphans()
            if waited > START_SECONDS:
                raise UnavailableError(
                    f"the embedded database did not answer within {START_SECONDS:.0f} s: "
                    f"{last_words(self._log())} (see {self.home / 'postgres.log'})"
                )
            time.sleep(0.02)
        return None

    def launch(self) -> Embedded:
        """Start it, on its port or the next free one."""
        if not (self.place.data / "PG_VERSION").exists():
            self._make_data()
        # If a process has that pid now, it is not a server on this data.
        (self.place.data / "postmaster.pid").unlink(missing_ok=True)
        for _ in range(3):
            port = first_free(self.port)
            if port != self.port:
                logger.warning(
                    "port %d is in use: the embedded database listens on %d", self.port, port
                )
            self._spawn(port)
            if running := self.wait_until_ready():
                return running
            if "could not bind" not in self._log():
                break
        raise UnavailableError(
            f"the embedded database did not start: {last_words(self._log())} "
            f"(see {self.home / 'postgres.log'})"
        )

    def stop(self) -> bool:
        """Disconnect all clients and shut down, by force if needed; False if no server ran."""
        if not self.is_alive():
            return False
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(psutil.NoSuchProcess):
                if process := self.process():
                    process.send_signal(number)
            if _within(STOP_SECONDS, lambda: not self.is_alive()):
                return True
        self._end_orphans()
        return True

    def set_password(self) -> None:
        """Set the login's password: the file with the old one is lost."""
        self.stop()
        (self.place.data / "postmaster.pid").unlink(missing_ok=True)
        statement = f"alter role {LOGIN} password '{self.password}'"
        command = ("postgres", "--single", "-D", self.place.data, "postgres")
        self.place.run(*command, input=statement)

    def is_alive(self) -> bool:
        """Whether any process of the server is alive: a postmaster, or a killed one's children."""
        with private(self.home / "postgres.running") as running:
            try:
                fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return self.process() is not None

    def process(self) -> psutil.Process | None:
        """The process of `postmaster.pid`, if it is a live server on this data."""
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            process = psutil.Process(int(self._pid_file()[0]))
            if process.status() != psutil.STATUS_ZOMBIE and self._is_ours(process):
                return process
        return None

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return bool(process.cwd() == str(self.place.data.resolve()))
        except psutil.AccessDenied:
            return bool(process.name() == "postgres")

    def _pid_file(self) -> list[str]:
        return (self.place.data / "postmaster.pid").read_text().splitlines()

    def _listening_port(self) -> int | None:
        """The port in line 4 of `postmaster.pid`; None until the server has written it."""
        with suppress(OSError, ValueError, IndexError):
            return int(self._pid_file()[3])
        return None

    def _log(self) -> str:
        with suppress(OSError):
            return (self.home / "postgres.log").read_text(errors="replace")
        return ""

    def _spawn(self, port: int) -> None:
        log = self.home / "postgres.log"
        if log.exists():
            log.replace(log.with_name("postgres.log.1"))
        options = f"-c port={port} -c listen_addresses={HOST} -c unix_socket_directories="
        with private(log) as output, private(self.home / "postgres.running") as running:
            fcntl.flock(running, fcntl.LOCK_EX)
            self.place.run(
                *("pg_ctl", "start", "--no-wait", f"--pgdata={self.place.data}", "-o", options),
                stdout=output,
                stderr=output,
                pass_fds=[running.fileno()],
            )

    def _end_orphans(self) -> None:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "postgres" and self._is_ours(process):
                    process.kill()

    def _make_data(self) -> None:
        """Create the data in a temporary folder, then move it: it is never incomplete."""
        for left_over in self.place.folder.glob("initdb-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.place.folder))
        try:
            password, data = temporary / "password", temporary / "data"
            password.write_text(self.password)
            for path in (temporary, password):
                os.chown(path, self.place.account.uid, self.place.account.gid)
            command = ["initdb", f"--pgdata={data}", f"--pwfile={password}", f"--username={LOGIN}"]
            command += ["--auth=scram-sha-256", "--locale=C", *_ENCODING]
            command += [f"--set={name}={value}" for name, value in _SETTINGS.items()]
            self.place.run(*command)
            data.rename(self.place.data)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def private(path: Path) -> IO[str]:
    """Open a file with mode 0600; if root creates it, the folder's owner becomes its owner."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a")
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)
    return file


def first_free(first: int) -> int:
    """The first unused port from this one on, wrapping around at the end of the range."""
    for step in range(len(PORTS)):
        port = PORTS[(first - PORTS.start + step) % len(PORTS)]
        with socket.socket() as candidate, suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind((HOST, port))
            return port
    raise UnavailableError(f"the embedded database: no port is free on {HOST}")


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
