"""Commands connect in every way that libpq supports."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from sessions_support import PASSWORD, Command, Server

from dora.database import Database
from dora.embedded_postgres.location import installed_programs
from dora.errors import ConfigurationError

Way = Callable[[Server, str, Path], tuple[str, dict[str, str]]]


def socket_and_trust(server: Server, name: str, folder: Path) -> tuple[str, dict[str, str]]:
    where = quote(str(server.folder), safe="")
    return f"postgresql:///{name}?host={where}&port={server.port}&user=dora", {}


def address(server: Server, name: str, login: str = "dora") -> str:
    return f"postgresql://{login}@127.0.0.1:{server.port}/{name}"


def password_in_the_environment(
    server: Server, name: str, folder: Path
) -> tuple[str, dict[str, str]]:
    return address(server, name), {"PGPASSWORD": PASSWORD}


def passfile(server: Server, name: str, folder: Path) -> tuple[str, dict[str, str]]:
    file = folder / "passfile"
    file.write_text(f"127.0.0.1:{server.port}:*:dora:{PASSWORD}\n")
    file.chmod(0o600)
    return address(server, name), {"PGPASSFILE": str(file)}


def service(server: Server, name: str, folder: Path) -> tuple[str, dict[str, str]]:
    file = folder / "services"
    # Its options would override those of the environment.
    file.write_text(
        f"[warehouse]\nhost=127.0.0.1\nport={server.port}\ndbname={name}\nuser=dora\n"
        f"password={PASSWORD}\noptions=-cdatestyle=German\n"
    )
    return "postgresql://", {"PGSERVICEFILE": str(file), "PGSERVICE": "warehouse"}


def certificate(server: Server, name: str, folder: Path) -> tuple[str, dict[str, str]]:
    server.run("drop role if exists certified; create role certified login superuser")
    for file in ("client.crt", "client.key", "server.crt"):
        (folder / file).write_bytes((server.folder / file).read_bytes())
        (folder / file).chmod(0o600)
    url = address(server, name, "certified")
    url += f"?sslmode=verify-full&sslcert={folder}/client.crt&sslkey={folder}/client.key"
    return f"{url}&sslrootcert={folder}/server.crt", {}


WAYS: list[Way] = [socket_and_trust, password_in_the_environment, passfile, service, certificate]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_command_reaches_the_database(
    dora: Command, oldest: Server, name: str, tmp_path: Path, way: Way
) -> None:
    url, variables = way(oldest, name, tmp_path)
    view = ["--select", "stg_teams__teams", "--indirect-selection", "empty"]
    for command in (["ingest"], ["build", *view]):
        done = dora(*command, DB_URL=url, **variables)
        assert done.returncode == 0, done.stderr
    owners = "select relname, relowner::regrole::text from pg_class where relname ~ 'teams$'"
    assert set(oldest.run(owners, name)) == {
        ("teams", "dora_ingest"),
        ("stg_teams__teams", "dora_transform"),
    }


@pytest.mark.parametrize(
    ("login", "password", "database", "said"),
    [
        ("dora", "wrong", None, 'password authentication failed for user "dora"'),
        ("dora", "", None, "no password supplied"),
        ("nobody", PASSWORD, None, 'password authentication failed for user "nobody"'),
        ("dora", PASSWORD, "nosuch", 'database "nosuch" does not exist'),
        ("nologin", PASSWORD, None, 'role "nologin" is not permitted to log in'),
    ],
)
def test_refused_login_is_a_configuration_error(
    oldest: Server, name: str, login: str, password: str, database: str | None, said: str
) -> None:
    oldest.run(f"drop role if exists nologin; create role nologin password '{PASSWORD}'")
    url = f"postgresql://{login}@127.0.0.1:{oldest.port}/{database or name}"
    secret = f"?password={quote(password)}" if password else ""
    with pytest.raises(ConfigurationError, match=re.escape(said)) as refused:
        Database(url + secret).connect()
    assert "refuses the login" in str(refused.value)


def test_environment_of_db_env_overrides_a_service(
    dora: Command, oldest: Server, name: str, tmp_path: Path
) -> None:
    url, variables = service(oldest, name, tmp_path)
    done = dora("db", "env", DB_URL=url, **variables)
    query = "select current_user, current_setting('datestyle'), current_database()"
    psql = installed_programs() / "psql"
    shell = subprocess.run(
        ["sh", "-c", f'{done.stdout}\n"$0" -XAtc "$1"', str(psql), query],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shell.stdout == f"dora_transform|ISO, MDY|{name}\n", done.stderr + shell.stderr
