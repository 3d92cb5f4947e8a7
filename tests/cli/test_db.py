import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from dora.database import Database
from dora.embedded_postgres.location import installed_programs
from dora.roles import READER, TRANSFORM

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def db(tmp_path: Path) -> Command:
    """Run `dora db …` in an empty folder, with these environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
        environment = kept | {"DB_URL": "", "DORA_HOME": str(tmp_path / "home")} | variables
        return subprocess.run(
            [sys.executable, "-m", "cli", "db", *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_init_prints_the_database_and_its_schemas(db: Command, database: Database) -> None:
    done = db("init", DB_URL=database.url)
    assert done.returncode == 0, done.stderr
    schemas = "raw, raw_staging, staging, intermediate, marts, snapshots"
    assert done.stdout == f"{database} is ready; schemas: {schemas}\n"
    with database.connect(TRANSFORM) as connection:
        assert connection.execute("select count(*) from raw.pull_requests").fetchone() == (0,)


def test_env_prints_lines_that_a_shell_can_evaluate(db: Command, database: Database) -> None:
    db("init", DB_URL=database.url)
    done = db("env", DB_URL=f"{database.url}?application_name=it's%20here")
    names = [line.partition("=")[0] for line in done.stdout.splitlines()]
    dbts = ["DORA_SCHEMA_PREFIX", "DBT_PROJECT_DIR", "DBT_PROFILES_DIR"]
    assert [name for name in names if not name.startswith("export PG")] == [
        f"export {name}" for name in dbts
    ]
    psql = installed_programs() / "psql"
    statement = "select current_user, current_setting('application_name')"
    shell = subprocess.run(
        ["sh", "-c", f'{done.stdout}\n"$0" -XAtc "$1"', str(psql), statement],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout == f"{TRANSFORM}|it's here\n"


def test_env_as_run_names_the_database_that_run_fills(
    db: Command, database: Database, home: Path
) -> None:
    unset = dict.fromkeys(("GITHUB_PAT", "REPOSITORIES", "TEAM_CONFIG_JSON"), "")
    own = unset | {"DB_URL": database.url}
    places = [
        (unset | {"DORA_HOME": str(home)}, "demo"),
        (unset | {"DORA_HOME": str(home), "REPOSITORIES": "acme/web"}, "dora"),
        (own, conninfo_to_dict(database.url)["dbname"]),
    ]
    for variables, name in places:
        done = db("env", "--as-run", **variables)
        assert f"export PGDATABASE={name}\n" in done.stdout, done.stderr


def test_psql_is_opened_as_the_login_or_as_a_role(db: Command, database: Database) -> None:
    query = ("-XAtc", "select current_database(), current_user")
    name = conninfo_to_dict(database.url)["dbname"]
    stale = {"DB_URL": database.url, "PGOPTIONS": f"-crole={TRANSFORM}"}
    assert db("psql", "--", *query, **stale).stdout == f"{name}|dora\n"
    assert db("psql", "--role", READER, *query, **stale).stdout == f"{name}|{READER}\n"
    assert db("psql", "--", "-Xc", "select nonsense", **stale).returncode == 1


def test_psql_accepts_a_role_name_with_and_without_the_prefix(
    db: Command, database: Database
) -> None:
    """The suggested prefix, `dora_`, is also the beginning of the roles' names."""
    where = {"DB_URL": database.url, "DORA_SCHEMA_PREFIX": "dora_"}
    assert db("init", **where).returncode == 0
    for role in (READER, f"dora_{READER}"):
        done = db("psql", "--role", role, "-XAtc", "select current_user", **where)
        assert done.stdout == f"dora_{READER}\n", done.stderr


def test_env_unsets_another_projects_dbt_target_and_profile(
    db: Command, database: Database
) -> None:
    theirs = {"DBT_TARGET": "prod", "DBT_PROFILE": "theirs", "DBT_TARGET_PATH": "elsewhere"}
    done = db("env", DB_URL=database.url, **theirs)
    assert "unset DBT_PROFILE\nunset DBT_TARGET\n" in done.stdout
    assert "DBT_TARGET_PATH" not in done.stdout


def test_env_without_configuration_hints_at_the_demo_database(db: Command, home: Path) -> None:
    unset = dict.fromkeys(("GITHUB_PAT", "REPOSITORIES", "TEAM_CONFIG_JSON"), "")
    where = unset | {"DORA_HOME": str(home)}
    hint = "this is your own, empty database; --demo gives the demo's"
    assert hint not in db("env", **where).stderr
    assert hint not in db("env", "--demo", **where).stderr
    done = db("env", **where)
    assert "export PGDATABASE=dora\n" in done.stdout
    assert hint in done.stderr


def test_embedded_server_is_started_and_stopped(db: Command, home: Path, tmp_path: Path) -> None:
    where = {"DORA_HOME": str(home)}
    started = db("start", **where)
    assert started.returncode == 0, started.stderr
    told = conninfo_to_dict(db("url", **where).stdout.strip())
    assert started.stdout == f"127.0.0.1:{told['port']}\n"
    assert db("stop", **where).stdout == "stopped\n"
    assert db("stop", **where).stdout == "the embedded server was not running\n"


@pytest.mark.parametrize("command", ["start", "stop"])
def test_start_and_stop_refuse_a_configured_database(
    db: Command, command: str, tmp_path: Path
) -> None:
    done = db(command, DB_URL="postgresql://user:secret@host/name")
    assert done.returncode == 2
    assert "DB_URL is set" in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "home").exists()
