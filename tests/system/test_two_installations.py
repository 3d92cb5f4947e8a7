"""Two installations in one database that already has a company's schema `marts`."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from demo.github import GitHub
from demo.organisation import generate
from demo.server import serve
from dora.api_keys import new_key
from dora.embedded_postgres import Embedded

TOKEN = "a-token"
COMPANYS_OWN = """
select 'orders', count(*)::text, sum(amount)::text from marts.orders
union all
select relname, relowner::regrole::text, relacl::text
from pg_class where relnamespace = 'marts'::regnamespace
union all
select nspname, nspowner::regrole::text, nspacl::text from pg_namespace where nspname = 'marts'
union all
select 'comment', obj_description('marts'::regnamespace, 'pg_namespace'), ''
order by 1
"""


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture
def warehouse(server: Embedded) -> Iterator[str]:
    """A company's database with a schema `marts` that everybody can read."""
    name, etl = f"warehouse_{secrets.token_hex(6)}", f"etl_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        admin.execute(f"create role {etl}".encode())
        with psycopg.connect(server.url(name)) as connection:
            connection.execute(
                f"create schema marts authorization {etl}; set role {etl};"
                "comment on schema marts is 'Sales'; grant usage on schema marts to public;"
                "create table marts.orders as select 3 as amount;"
                "create table marts.dim_teams as select 1 as team_id;"
                "grant select on marts.orders to public".encode()
            )
        yield server.url(name)
        admin.execute(f"drop database {name} with (force)".encode())
        admin.execute(f"drop role {etl}".encode())


@dataclass
class Installation:
    """The command with the settings of one installation."""

    folder: Path
    settings: dict[str, str]

    def dora(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=os.environ | self.settings,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def served(self, key: str) -> Iterator[httpx.Client]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "cli", "serve", "--port", str(port)]
        place = {"base_url": f"http://127.0.0.1:{port}", "headers": {"X-API-Key": key}}
        with (
            subprocess.Popen(
                command, env=os.environ | self.settings, cwd=self.folder, stderr=subprocess.DEVNULL
            ) as process,
            httpx.Client(**place, timeout=30) as client,
        ):
            try:
                until = time.monotonic() + 60
                while True:
                    try:
                        client.get("/health")
                    except httpx.ConnectError:
                        assert time.monotonic() < until
                        time.sleep(0.2)
                    else:
                        break
                yield client
            finally:
                process.terminate()


def teams_with(login: str, weight: float) -> str:
    window = {"github_username": login, "joined_at": "2020-01-01", "allocation_weight": weight}
    return json.dumps([{"id": "core", "name": "Core", "members": [window]}])


def test_two_installations_leave_a_companys_marts_unchanged(warehouse: str, tmp_path: Path) -> None:
    before = fetch(warehouse, COMPANYS_OWN)
    organisation = generate(seed=5, pull_requests=200, repositories=2)
    login = organisation.team_config()[0]["members"][0]["github_username"]
    key, entry = new_key("the test")
    with serve(GitHub.from_organisation(organisation), token=TOKEN) as hub:
        settings = {
            "DB_URL": warehouse,
            "DORA_HOME": str(tmp_path / "home"),
            "GITHUB_PAT": TOKEN,
            "GITHUB_API_URL": hub.url,
            "REPOSITORIES": ",".join(one.name_with_owner for one in hub.github.repositories()),
            "API_KEYS": json.dumps([entry]),
        }
        installations = {
            prefix: Installation(
                tmp_path,
                settings
                | {"DORA_SCHEMA_PREFIX": prefix, "TEAM_CONFIG_JSON": teams_with(login, weight)},
            )
            for prefix, weight in (("", 1), ("dora_", 1), ("_x__", 0.5))
        }
        refused = installations.pop("").dora("db", "init")
        assert (refused.returncode, "schema marts (owner etl_" in refused.stderr) == (2, True)
        for step in (["db", "init"], ["ingest"], ["build"]):
            for prefix, installation in installations.items():
                done = installation.dora(*step)
                assert done.returncode == 0, (prefix, step, done.stderr)
    other_teams = tmp_path / "teams.json"
    other_teams.write_text(teams_with(login, 0.5))
    figures = {}
    for prefix, installation in installations.items():
        with installation.served(key) as client:
            answer = client.get("/metrics/team/core/velocity")
        assert answer.status_code == 200, answer.text
        figures[prefix] = answer.json()["data"]
    assert sum(week["prs_merged"] for week in figures["dora_"]) >= 5
    for whole, half in zip(figures["dora_"], figures["_x__"], strict=True):
        assert whole["prs_merged"] == half["prs_merged"]
        assert whole["weighted_prs_merged"] == 2 * half["weighted_prs_merged"]
    for prefix, differs in (("dora_", True), ("_x__", False)):
        diff = installations[prefix].dora("teams", "diff", str(other_teams))
        assert (diff.returncode, "core" in diff.stdout) == (0, differs), diff.stderr
    for prefix in installations:
        may = f"has_table_privilege('{prefix}dora_reader', '{prefix}marts.dim_build', 'select')"
        assert fetch(warehouse, f"select {may}") == [(True,)]
    assert fetch(warehouse, COMPANYS_OWN) == before
