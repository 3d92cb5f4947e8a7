"""A PostgreSQL 15 in addition to the embedded 18, with a pgbouncer in front of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sessions_support import PASSWORD, Command, Pooler, Server

from demo.github import GitHub
from demo.organisation import generate
from demo.server import serve
from dora.embedded_postgres.location import settle

ROOT = Path(__file__).resolve().parents[2]
OLDEST = Path("/usr/lib/postgresql/15/bin")
TOKEN = "a-token"
# A client certificate for the login `certified`, from a separate authority.
CERTIFICATES = """
set -e
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.crt
openssl req -newkey rsa:2048 -nodes -subj /CN=certified -keyout client.key -out client.csr
openssl x509 -req -days 2 -in client.csr -CA server.crt -CAkey server.key -CAcreateserial \
    -out client.crt
chmod 600 client.key server.key
"""
RULES = """
local all all trust
hostssl all certified 127.0.0.1/32 cert
host all all 127.0.0.1/32 scram-sha-256
"""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "ssl": "on",
    "max_connections": "60",
}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def oldest(session_home: Path) -> Iterator[Server]:
    """A server with the oldest supported PostgreSQL."""
    if not OLDEST.exists():
        pytest.skip(f"no PostgreSQL 15 in {OLDEST}; `apt-get install postgresql-15` has it")
    session_home.mkdir(mode=0o755)
    place = replace(settle(session_home, None), programs=OLDEST)
    place.account.run("sh", "-c", CERTIFICATES, "sh", place.folder, capture_output=True)
    given = place.folder / "password"
    given.write_text(PASSWORD)
    place.folder.chmod(0o755)
    login = ("--username=dora", f"--pwfile={given}", "--auth=scram-sha-256")
    # Unlike the embedded server: no encoding option, and another locale than C.
    place.run("initdb", f"--pgdata={place.data}", *login, "--locale=C.UTF-8")
    files = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
    files |= {"ssl_ca_file": "server.crt", "unix_socket_directories": ""}
    settings = SETTINGS | {name: str(place.folder / file) for name, file in files.items()}
    with (place.data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (place.data / "pg_hba.conf").write_text(RULES)
    server = Server(place, _free_port())
    control = ("pg_ctl", f"--pgdata={place.data}", "--wait")
    log = ("--log", place.folder / "log")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    place.run(*control, *log, "-o", f"-c port={server.port}", "start", **quiet)
    yield server
    place.run(*control, "--mode=immediate", "stop")


@pytest.fixture
def name(oldest: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an empty database on it; a parameter adds options of `create database`."""
    how = getattr(request, "param", "")
    name = f"test_{os.urandom(4).hex()}"
    oldest.run(f"create database {name} {how}")
    yield name
    oldest.run(f"drop database {name} with (force)")


@pytest.fixture(
    params=[{}, {"ignore_startup_parameters": "options"}],
    ids=["rejects options", "drops options"],
)
def pooler(oldest: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pooler]:
    """A pooler in transaction mode; a parameter adds settings."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer on this machine; `apt-get install pgbouncer` has it")
    port = _free_port()
    folder = oldest.folder
    users = folder / "users.txt"
    users.write_text(f'"dora" "{PASSWORD}"\n')
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(users),
        "pool_mode": "transaction",
        "default_pool_size": "1",
        "logfile": str(folder / f"pgbouncer-{port}.log"),
    } | request.param
    lines = ["[databases]", f"* = host=127.0.0.1 port={oldest.port}", "[pgbouncer]"]
    configuration = folder / f"pgbouncer-{port}.ini"
    configuration.write_text(
        "\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items())])
    )
    account = oldest.place.account
    options: dict[str, Any] = {"cwd": "/"}
    if os.geteuid() == 0:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    with subprocess.Popen([str(program), "-q", str(configuration)], **options) as process:
        until = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.02)
        yield Pooler(port, settings)
        process.send_signal(signal.SIGINT)
        process.terminate()


@pytest.fixture(scope="session")
def organisation() -> Iterator[dict[str, str]]:
    """The environment variables for a command to read a small simulated GitHub."""
    made = generate(seed=5, pull_requests=100, repositories=2)
    github = GitHub.from_organisation(made)
    with serve(github, token=TOKEN) as hub:
        yield {
            "GITHUB_PAT": TOKEN,
            "GITHUB_API_URL": hub.url,
            "REPOSITORIES": ",".join(found.name_with_owner for found in github.repositories()),
            "TEAM_CONFIG_JSON": json.dumps(made.team_config()),
        }


@pytest.fixture(scope="session")
def dora_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that dbt parses the project once."""
    return tmp_path_factory.mktemp("dora")


@pytest.fixture
def dora(organisation: dict[str, str], dora_home: Path, tmp_path: Path) -> Command:
    """Run the command; keyword arguments become environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=kept | organisation | {"DORA_HOME": str(dora_home)} | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run
