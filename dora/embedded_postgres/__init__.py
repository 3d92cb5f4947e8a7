"""The embedded PostgreSQL server under `DORA_HOME`: started on demand, shared, left running.

Its files in `DORA_HOME`:

- `postgres.json` (0600): its password, its port, and its folder if that is elsewhere;
- `postgres.lock`: held while one command starts or stops it;
- `postgres.running`: held by every process of the server;
- `postgres.log`, `postgres/`: its log, its data.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dora.embedded_postgres.location import settle
from dora.embedded_postgres.postmaster import (
    DATABASE,
    HOST,
    LOGIN,
    PORTS,
    Embedded,
    Postmaster,
    first_free,
    private,
)
from dora.errors import UnavailableError

__all__ = ["DATABASE", "HOST", "LOGIN", "Embedded", "exists", "start", "stop"]


def start(home: Path) -> Embedded:
    """Start the server under `home`, or find it running; create the database `dora`.

    Safe to call from several processes at once. Raise `UnavailableError` with the end of the
    server's log if it does not start.
    """
    home = home.expanduser().resolve()
    with _held(home):
        postmaster = _postmaster(home)
        running = postmaster.wait_until_ready() or postmaster.launch()
        running.create_database(DATABASE)
    return running


def stop(home: Path) -> bool:
    """Stop the server under `home`; return whether one was running."""
    home = home.expanduser().resolve()
    if not _state_file(home).exists():
        return False
    with _held(home):
        return _postmaster(home).stop()


def exists(home: Path) -> bool:
    """Return whether a server was ever started under `home`."""
    return _state_file(home.expanduser()).exists()


@contextmanager
def _held(home: Path) -> Iterator[None]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with private(home / "postgres.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise UnavailableError(f"the embedded database in {home}: {error}") from error


def _postmaster(home: Path) -> Postmaster:
    """Read the recorded state of the server, or record a new one."""
    path = _state_file(home)
    state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    recorded = Path(state["folder"]) if "folder" in state else None
    place = settle(home, recorded)
    postmaster = Postmaster(
        home=home,
        place=place,
        password=state.get("password") or secrets.token_urlsafe(24),
        port=state.get("port") or first_free(_usual_port(home)),
    )
    if not state or place.folder != (recorded or home / "postgres"):
        if place.data.exists():
            postmaster.set_password()
        _record(postmaster)
    return postmaster


def _state_file(home: Path) -> Path:
    return home / "postgres.json"


def _record(postmaster: Postmaster) -> None:
    state: dict[str, Any] = {"password": postmaster.password, "port": postmaster.port}
    if postmaster.place.folder.parent != postmaster.home:
        state["folder"] = str(postmaster.place.folder)
    path = _state_file(postmaster.home)
    new = path.with_suffix(".new")
    with private(new) as file:
        file.truncate(0)
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _usual_port(home: Path) -> int:
    """The port of a home if none is recorded: always the same, and seldom another home's."""
    digest = hashlib.sha256(str(home).encode()).digest()
    return PORTS.start + int.from_bytes(digest[:4], "big") % len(PORTS)
