"""The `dora` command as a user sees it: exit codes, stdout and stderr, all faults at once."""

import json
import os
import re
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
from tests.webhook import Webhook
from transform.dbt_runner import LOCK

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
            [sys.executable, "-m", "cli", *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def test_run_in_an_empty_database_prints_every_teams_last_weeks(dora: Dora) -> None:
    done = dora("run", "--no-serve")
    assert done.returncode == 0, done.stderr
    assert "200 pull requests" in done.stdout
    assert re.search(r"^dbt build: .*\d tests passed.* 2 snapshots built", done.stdout, re.M)
    assert "Payments" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    for line in done.stderr.splitlines():
        assert json.loads(line)["message"]
    done = dora("build", "--select", "weights_of_a_person_stay_within_one")
    assert done.stdout == "dbt build: 1 test warns\n"
    # Without the configuration, the teams come from the marts.
    done = dora("keys", "new", "bi", "--team", "paymnts", TEAM_CONFIG_JSON=None)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dora: --team 'paymnts' is not a team; did you mean payments?\n"


def test_settings_of_other_dlt_and_dbt_projects_are_ignored(dora: Dora, tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(
        '[load]\nworkers = "many"\n[schema]\nnaming = "direct"\n'
        '[destination.postgres]\ncreate_indexes = "perhaps"\n',
        "utf-8",
    )
    (tmp_path / ".dlt" / "secrets.toml").write_text(
        '[destination.postgres.credentials]\nhost = "warehouse.example.com"\n', "utf-8"
    )
    (tmp_path / "dbt_project.yml").write_text("name: another\nprofile: another\n", "utf-8")
    (tmp_path / "profiles.yml").write_text("another: {}\n", "utf-8")
    done = dora(
        *("run", "--no-serve"),
        DBT_TARGET="prod",
        DBT_PROFILE="another",
        DBT_PROFILES_DIR=str(tmp_path),
        DBT_PROJECT_DIR=str(tmp_path),
        DBT_FULL_REFRESH="perhaps",
        LOAD__WORKERS="many",
        SCHEMA__NAMING="direct",
    )
    assert done.returncode == 0, done.stderr
    assert "200 pull requests" in done.stdout
    assert "unit test" not in done.stdout


def test_run_sends_the_digest_of_a_week_once(dora: Dora, hub: Server) -> None:
    webhook = Webhook()
    repositories = ",".join(found.name_with_owner for found in hub.github.repositories())
    to = f"json://{webhook.address}/{TOKEN}"
    done = dora("run", "--no-serve", DIGEST_TO=to)
    assert done.returncode == 0, done.stderr
    assert " was sent to destination 1 (json://…)\n" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    (message,) = webhook.received
    assert message["title"].startswith("All teams: week of ")
    # A refused digest does not end the run before it serves, but sets its exit code.
    done = dora("run", "--no-serve", DIGEST_TO=f"{to},json://{webhook.address}/403")
    assert done.returncode == 1
    assert len(webhook.received) == 2
    # A failed repository does not keep the digest back.
    also = {"REPOSITORIES": f"{repositories},{repositories.split('/')[0]}/gone"}
    done = dora("run", "--no-serve", DIGEST_TO=f"{to}/new", **also)
    assert done.returncode == 1
    assert len(webhook.received) == 3, done.stderr
    dora("run", "--no-serve", DIGEST_TO=to)
    assert len(webhook.received) == 3
    webhook.close()
    done = dora("run", "--no-serve", DIGEST_TO=f"nope://{TOKEN}", GITHUB_PAT=None)
    assert done.returncode == 2
    assert "destination 1 (nope://…) is not a URL" in done.stderr
    assert "GITHUB_PAT" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_every_configuration_fault_is_reported_at_once(dora: Dora) -> None:
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


@pytest.mark.parametrize("missing", ["GITHUB_PAT", "REPOSITORIES"])
def test_run_with_an_incomplete_configuration_exits_with_2_and_names_the_missing_setting(
    dora: Dora, missing: str
) -> None:
    done = dora("run", "--no-serve", **{missing: None})
    assert done.returncode == 2
    assert missing in done.stderr
    assert "demo" not in done.stderr


def test_run_without_teams_says_so_and_leads_to_a_draft(dora: Dora, tmp_path: Path) -> None:
    done = dora("run", "--no-serve", TEAM_CONFIG_JSON=None)
    assert done.returncode == 0, done.stderr
    assert "200 pull requests" in done.stdout
    assert "There are no teams yet: `dora teams draft` writes a first team file." in done.stdout
    [said] = [line for line in done.stderr.splitlines() if "TEAM_CONFIG_JSON is not set" in line]
    assert "`dora teams draft` writes a first team file" in said
    assert dora("teams", "draft", "--out", "teams.yaml").returncode == 0
    assert "dependabot" not in (tmp_path / "teams.yaml").read_text("utf-8")
    checked = dora("teams", "check", "teams.yaml", "--against-data")
    assert re.search(r"teams.yaml is valid: 2 teams, \d+ people", checked.stdout), checked.stderr
    assert "never seen" not in checked.stdout
    done = dora("run", "--no-serve", TEAM_CONFIG_JSON="teams.yaml")
    assert "Merged pull requests by week" in done.stdout


def test_ingest_without_the_setting_keeps_the_teams_of_an_earlier_one(
    dora: Dora, database: Database
) -> None:
    assert dora("ingest").returncode == 0
    assert dora("ingest", TEAM_CONFIG_JSON=None).returncode == 0
    with database.connect() as connection:
        assert connection.execute("select count(*) from raw.teams").fetchone() == (7,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"DB_URL": "mysql://a/b"}, "DB_URL is not a Postgres URL", id="not Postgres"),
        pytest.param(
            {"DB_URL": "postgresql://me:secret@127.0.0.1:99999/none"},
            "DB_URL is not a valid Postgres URL: port 99999 is out of range (1-65535)",
            id="invalid port of the database",
        ),
        pytest.param(
            {"DB_URL": "postgresql://me:secret@127.0.0.1/none?sslmod=require"},
            "DB_URL is not a valid Postgres URL: the parameter sslmod is not known",
            id="unknown parameter of the database",
        ),
        pytest.param(
            {"DB_URL": "postgresql://me:a/b?secret=c@127.0.0.1/none"},
            "percent-encode",
            id="password of the database with special characters",
        ),
        pytest.param({"GITHUB_PAT": "wrong"}, "GitHub refused the token", id="refused token"),
        pytest.param(
            {"GITHUB_PAT": "two words"}, "GITHUB_PAT is not a GitHub token", id="not a token"
        ),
        pytest.param(
            {"GITHUB_API_URL": "http://me:secret@127.0.0.1"},
            "contains a user",
            id="password in address",
        ),
        pytest.param({"GITHUB_API_URL": "http://x:99999"}, "GITHUB_API_URL", id="invalid port"),
        pytest.param({"GITHUB_API_URL": "ftp://x"}, "GITHUB_API_URL", id="not an http address"),
        pytest.param(
            {"REPORTING_TIMEZONE": "Europe/Berln"},
            "REPORTING_TIMEZONE 'Europe/Berln' is not a time zone",
            id="unknown time zone",
        ),
        pytest.param(
            {"ATTRIBUTION_INSTANT": "closed_at"},
            "ATTRIBUTION_INSTANT 'closed_at' is not known: use merged_at or created_at",
            id="unknown attribution instant",
        ),
        pytest.param({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL", id="unknown log level"),
    ],
)
def test_bad_setting_exits_with_2_without_showing_secrets(
    dora: Dora, changes: dict[str, str], said: str
) -> None:
    done = dora("ingest", **changes)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "two words" not in done.stderr
    assert "secret" not in done.stderr


def test_unavailable_database_exits_with_69_and_one_line(dora: Dora) -> None:
    done = dora("ingest", DB_URL="postgresql://me:a-password@127.0.0.1:1/none")
    assert done.returncode == 69
    assert len(done.stderr.splitlines()) == 1
    assert "127.0.0.1:1/none" in done.stderr
    assert "a-password" not in done.stderr


def test_home_that_cannot_be_written_exits_with_2(dora: Dora, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("", "utf-8")
    done = dora("ingest", DORA_HOME=str(tmp_path / "a-file"))
    assert done.returncode == 2
    assert "DORA_HOME cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_unavailable_github_exits_with_69(dora: Dora, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import ingest.github.client as client\nclient.ATTEMPTS = 1\n", "utf-8"
    )
    done = dora("ingest", GITHUB_API_URL="http://127.0.0.1:9", PYTHONPATH=str(tmp_path))
    assert done.returncode == 69, done.stderr
    assert "127.0.0.1:9" in done.stderr


def test_inaccessible_repository_exits_with_1_and_is_named(dora: Dora, hub: Server) -> None:
    names = [found.name_with_owner for found in hub.github.repositories()]
    done = dora("ingest", REPOSITORIES=",".join([*names, "acme/none"]))
    assert done.returncode == 1
    assert "acme/none" in done.stderr
    assert "200 pull requests" in done.stdout


def test_refresh_reads_everything_again(dora: Dora) -> None:
    assert "200 pull requests" in dora("ingest").stdout
    assert "nothing has changed" in dora("ingest").stdout
    refreshed = dora("ingest", "--refresh")
    assert refreshed.returncode == 0, refreshed.stderr
    assert "200 pull requests" in refreshed.stdout


def test_failed_dbt_build_exits_with_3_and_shows_the_reason(dora: Dora) -> None:
    done = dora("build", "--vars", '{"attribution_instant": "sometimes"}')
    assert done.returncode == 3
    assert "attribution_instant" in done.stderr
    assert "Traceback" not in done.stderr


def test_build_without_the_settings_of_the_marts_is_refused(
    dora: Dora, database: Database, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        "REPORTING_TIMEZONE=Europe/Berlin\nATTRIBUTION_INSTANT=created_at\n", "utf-8"
    )
    assert dora("build").returncode == 0
    assert built_with(database) == ("Europe/Berlin", "created_at")
    exports = dora("db", "env").stdout.splitlines()
    assert {"export REPORTING_TIMEZONE=Europe/Berlin", "export ATTRIBUTION_INSTANT=created_at"} <= {
        *exports
    }
    env_file.unlink()
    refused = dora("build")
    assert refused.returncode == 3
    for line in (
        "REPORTING_TIMEZONE is not set, but the marts are built with Europe/Berlin",
        "ATTRIBUTION_INSTANT is not set, but the marts are built with created_at",
    ):
        assert line in refused.stderr
    assert built_with(database) == ("Europe/Berlin", "created_at")
    chosen = dora("build", REPORTING_TIMEZONE="UTC", ATTRIBUTION_INSTANT="merged_at")
    assert chosen.returncode == 0
    assert built_with(database) == ("UTC", "merged_at")


def built_with(database: Database) -> tuple[str, str]:
    query = "select reporting_timezone, attribution_instant from marts.dim_build"
    with database.connect() as connection:
        (found,) = connection.execute(query).fetchall()
    return found


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
    assert "another build is running" in done.stderr
    assert done.stdout == "dbt build: 1 model built\n"


def test_bare_dbt_build_works_in_any_folder_after_db_env(dora: Dora, tmp_path: Path) -> None:
    exports = dora("db", "env")
    assert exports.returncode == 0
    assert all(line.startswith(("export ", "unset ")) for line in exports.stdout.splitlines())
    dbt = Path(sys.executable).parent / "dbt"
    done = subprocess.run(
        f"{exports.stdout}\n{dbt} build --exclude-resource-type unit_test",
        shell=True,
        cwd=tmp_path,
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
    assert "is valid: 7 teams" in dora("teams", "check", str(good)).stdout
    member = {"github_username": "octocat", "joined_at": "2026-01-01"}
    good.write_text(json.dumps([{"name": "A", "members": [member]}]), "utf-8")
    checked = dora("teams", "check", str(good))
    assert checked.stdout == f"{good} is valid: 1 team, 1 person, 1 window\n"
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


def test_key_for_unknown_teams_is_refused_with_suggestions(dora: Dora) -> None:
    done = dora("keys", "new", "bi", "--team", "mobil", "--team", "payments", "--team", "zzz")
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first == "dora: --team 'mobil' is not a team; did you mean mobile?"
    assert second.startswith("dora: --team 'zzz' is not a team; the teams are ")
    assert "payments" in second


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"DB_URL": None}, "there is no database yet", id="no database yet"),
        pytest.param(
            {"DB_URL": "postgresql://127.0.0.1:1/none"}, "unavailable", id="database unavailable"
        ),
        pytest.param({}, "dim_teams", id="no build"),
        pytest.param({"TEAM_CONFIG_JSON": "nowhere.json"}, "cannot be read", id="no file"),
    ],
)
def test_key_is_made_with_a_warning_if_teams_cannot_be_checked(
    dora: Dora, changes: dict[str, str | None], said: str, tmp_path: Path
) -> None:
    done = dora("keys", "new", "bi", "--team", "payments", **{"TEAM_CONFIG_JSON": None, **changes})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[1])["teams"] == ["payments"]
    assert "could not check whether these teams exist" in done.stderr
    assert said in done.stderr
    assert not (tmp_path / "home").exists()


def test_unknown_command_exits_with_2(dora: Dora) -> None:
    assert dora("frobnicate").returncode == 2
