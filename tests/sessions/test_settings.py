"""Databases with unusual settings, encodings and collations, and with published tables."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
import psycopg2
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sessions_support import Command, Server

import dora.session_settings
from api.app import create_app
from api.database import Marts
from dora.api_keys import new_key
from dora.database import Database
from dora.embedded_postgres import Embedded
from dora.errors import ConfigurationError
from dora.roles import INGEST, READER
from dora.settings import Settings

OTHERS = {
    "client_encoding": "LATIN1",
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "search_path": "nowhere",
    "statement_timeout": "20ms",
    "lock_timeout": "1ms",
    "idle_session_timeout": "300ms",
    "idle_in_transaction_session_timeout": "20ms",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
}
SINCE_17 = {"transaction_timeout": "300ms"}
LEFT = "select name, setting from pg_settings where source in ('database', 'user', 'database user')"
TURKISH = "locale_provider icu icu_locale 'tr-TR' template template0"
FIGURES = [
    "select * from marts.fct_team_velocity_weekly",
    "select * from marts.fct_team_lead_time_monthly",
    "select pull_request_id, team_id, weight from marts.fct_team_pull_requests",
    "select reason, count(*) from intermediate.int_pull_requests_excluded group by reason",
]


@contextmanager
def strange(server: Server | Embedded, how: str = "") -> Iterator[Database]:
    """A database with other settings and a publication of all tables."""
    name = f"strange_{secrets.token_hex(4)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} {how}")
        with psycopg.connect(server.url(name), autocommit=True) as inside:
            inside.execute("create publication everything for all tables")
        is_newer = connection.info.server_version >= 170_000
        for setting, value in (OTHERS | (SINCE_17 if is_newer else {})).items():
            connection.execute(f"alter database {name} set {setting} = '{value}'")
        yield Database(server.url(name))
        connection.execute(f"drop database {name} with (force)")


@contextmanager
def api(database: Database) -> Iterator[TestClient]:
    key, entry = new_key("all")
    url, keys = SecretStr(database.url), SecretStr(json.dumps([entry]))
    app = create_app(Settings(_env_file=None, db_url=url, api_keys=keys))
    with TestClient(app, headers={"X-API-Key": key}) as client:
        yield client


@pytest.mark.parametrize("version", ["oldest", "server"])
def test_no_setting_of_the_database_reaches_a_session(
    request: pytest.FixtureRequest, version: str
) -> None:
    with strange(request.getfixturevalue(version)) as database:
        with psycopg.connect(database.url) as plain:
            assert len(plain.execute(LEFT).fetchall()) >= len(OTHERS)
        for role in (None, INGEST):
            with database.connect(role) as connection:
                assert connection.execute(LEFT).fetchall() == []
            options = database.options(role)
            connections = [psycopg2.connect(database.conninfo(role), options=options)]
            with patch.dict(os.environ, database.environment(role)):
                connections.append(psycopg2.connect(""))
            for other in connections:
                cursor = other.cursor()
                cursor.execute(LEFT)
                assert cursor.fetchall() == []
                other.close()
        marts = Marts(lambda: database.url)
        assert marts.rows(LEFT) == []
        marts.close()


def test_no_setting_of_the_environment_reaches_a_session(
    dora: Command, oldest: Server, name: str
) -> None:
    shown = ["--", "-XAtc", "show datestyle", "-c", "show timezone", "-c", "show geqo"]
    others = {"PGTZ": "Asia/Kathmandu", "PGDATESTYLE": "German", "PGGEQO": "off"}
    done = dora("db", "psql", *shown, DB_URL=oldest.url(name), **others)
    assert done.stdout.split() == ["ISO,", "MDY", "UTC", "on"]


def test_the_main_job_has_the_same_figures_on_the_oldest_and_the_newest_server(
    dora: Command, oldest: Server, server: Embedded, organisation: dict[str, str]
) -> None:
    """The oldest server has a Turkish locale and team members' logins in upper case."""
    teams = json.loads(organisation["TEAM_CONFIG_JSON"])
    for member in [member for team in teams for member in team["members"]]:
        member["github_username"] = member["github_username"].upper().replace("[BOT]", "[bot]")
    found: list[Any] = []
    with strange(oldest, TURKISH) as turkish, strange(server) as plain:
        for database, variables in (
            (turkish, {"TEAM_CONFIG_JSON": json.dumps(teams)}),
            (plain, {}),
        ):
            for command in ("ingest", "build"):
                done = dora(command, DB_URL=database.url, **variables)
                assert done.returncode == 0, done.stderr
            with database.connect() as connection:
                rows: list[Any] = [
                    sorted(connection.execute(query).fetchall(), key=repr) for query in FIGURES
                ]
            with api(database) as client:
                for path in ("velocity", "lead-time", "pull-requests"):
                    answer = client.get(f"/metrics/team/{teams[0]['id']}/{path}")
                    assert answer.status_code == 200, answer.text
                    rows.append(answer.json()["data"])
            assert all(rows)
            found.append(rows)
        assert found[0] == found[1]
        # Rows are updated and deleted, in the snapshots too.
        del teams[0]["members"][1:]
        for command in ("ingest", "build"):
            done = dora(command, DB_URL=turkish.url, TEAM_CONFIG_JSON=json.dumps(teams))
            assert done.returncode == 0, done.stderr
        with turkish.connect() as connection:
            ended = "select from snapshots.snap_team_memberships where dbt_valid_to is not null"
            assert connection.execute(ended).fetchall()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_encoding_other_than_utf8_is_refused(dora: Command, oldest: Server, encoding: str) -> None:
    name = f"test_{secrets.token_hex(4)}"
    how = f"encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0"
    oldest.run(f"create database {name} {how}")
    done = dora("ingest", DB_URL=oldest.url(name))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert f"has the encoding {encoding}, but UTF8 is needed" in line
    with api(Database(oldest.url(name))) as client:
        assert "configuration is invalid" in client.get("/teams").json()["detail"]
    oldest.run(f"drop database {name} with (force)")


@pytest.mark.parametrize(("bound", "version"), [("OLDEST", 16), ("NEWEST", 14)])
def test_unsupported_version_is_refused(
    oldest: Server, name: str, monkeypatch: pytest.MonkeyPatch, bound: str, version: int
) -> None:
    monkeypatch.setattr(dora.session_settings, bound, version)
    with pytest.raises(ConfigurationError, match=r"^PostgreSQL 15\.\d+ is not supported: use "):
        Database(oldest.url(name)).connect(READER)


def test_database_error_is_reported_in_one_line_without_retries(
    dora: Command, oldest: Server, name: str
) -> None:
    """Such an error may come from another user's trigger or from a changed table."""
    assert dora("db", "init", DB_URL=oldest.url(name)).returncode == 0
    oldest.run("alter table raw.user_logins replica identity nothing", name)
    oldest.run("create publication everything for all tables", name)
    done = dora("ingest", DB_URL=oldest.url(name))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "attempt" not in done.stderr
    assert "refuses: cannot delete from table" in done.stderr.splitlines()[-1]
