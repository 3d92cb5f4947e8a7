"""The first step of a run, on a server that is shared with another stage."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aws_account import Account, account, start_database
from lambda_runtime import REGION
from psycopg import errors

from dora import embedded_postgres
from dora.errors import ConfigurationError
from transform.prepare import handler

LOGINS = ("ingest", "transform", "reader")
WORD = "the-word-of-the-administrator"
READER = "dora_reader_login"

Prepare = Callable[..., list[str]]


@pytest.fixture(scope="module")
def aws() -> Iterator[Account]:
    with account() as made:
        yield made


@pytest.fixture
def server(home: Path) -> dict[str, str]:
    """A server like RDS, with a database for each of two stages."""
    address = start_database(home, WORD)
    server = embedded_postgres.start(home)
    for stage in ("dev", "prod"):
        server.create_database(stage)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"alter database {stage} owner to administrator".encode())
    return address


@pytest.fixture
def prepare(
    server: dict[str, str], aws: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Prepare:
    """Run `Prepare` for a stage, whose database has the stage's name; return the logins."""
    monkeypatch.chdir(tmp_path)
    secrets: list[str] = []

    def secret(user: str, password: str) -> str:
        name = f"{tmp_path.name}-{len(secrets)}"
        secrets.append(aws.secret(name, {"username": user, "password": password}))
        return secrets[-1]

    def run(stage: str, prefix: str = "", login_prefix: str | None = None) -> list[str]:
        begin = prefix if login_prefix is None else login_prefix
        environment = server | {
            "PGDATABASE": stage,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "DORA_SCHEMA_PREFIX": prefix,
            "DB_SECRET_ARN": secret("administrator", WORD),
        }
        for login in LOGINS:
            arn = secret(f"{begin}dora_{login}_login", f"{stage}-{login}")
            environment[f"{login.upper()}_LOGIN_SECRET_ARN"] = arn
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        logins: list[str] = handler({}, None)["logins"]
        return logins

    return run


def ask(server: dict[str, str], stage: str, user: str, password: str, query: str) -> list[Any]:
    with psycopg.connect(
        host=server["PGHOST"],
        port=server["PGPORT"],
        dbname=stage,
        user=user,
        password=password,
    ) as connection:
        return connection.execute(query.encode()).fetchall()


def test_a_second_stage_with_the_same_roles_is_refused(
    server: dict[str, str], prepare: Prepare
) -> None:
    assert prepare("dev") == prepare("dev") == [f"dora_{login}_login" for login in LOGINS]
    with pytest.raises(ConfigurationError, match="DORA_SCHEMA_PREFIX") as refusal:
        prepare("prod")
    for role in ("dora_ingest", "dora_transform", "dora_reader"):
        assert f"the role {role} has rights in the database dev" in str(refusal.value)
    # The password is still dev's, and prod has no new schemas.
    ask(server, "dev", READER, "dev-reader", "select 1")
    schemas = "select nspname from pg_namespace where nspname !~ '^(pg_|information|public)'"
    assert ask(server, "prod", "administrator", WORD, schemas) == []


def test_stages_with_different_prefixes_share_no_logins_and_no_rights(
    server: dict[str, str], prepare: Prepare
) -> None:
    prepare("dev")
    prepare("prod", "prod_")
    ask(server, "prod", "prod_dora_transform_login", "prod-transform", "select 1")
    with psycopg.connect(embedded_url(server, "prod"), autocommit=True) as connection:
        connection.execute("create table prod_marts.t as select 1 as a")
        connection.execute("alter table prod_marts.t owner to prod_dora_transform")
    prepare("prod", "prod_")
    assert ask(server, "prod", f"prod_{READER}", "prod-reader", "select a from prod_marts.t")
    with pytest.raises(errors.InsufficientPrivilege):
        ask(server, "prod", READER, "dev-reader", "select a from prod_marts.t")


def embedded_url(server: dict[str, str], stage: str) -> str:
    return f"postgresql://administrator:{WORD}@{server['PGHOST']}:{server['PGPORT']}/{stage}"


def test_a_login_of_another_stage_keeps_its_password(
    server: dict[str, str], prepare: Prepare
) -> None:
    prepare("dev")
    with pytest.raises(ConfigurationError, match="already exists") as refusal:
        prepare("prod", "prod_", login_prefix="")
    assert f"the login {READER} already exists and is not in prod_dora_reader" in str(refusal.value)
    ask(server, "dev", READER, "dev-reader", "select 1")


def test_the_logins_are_in_utc_whatever_the_server_s_time_zone(
    server: dict[str, str], prepare: Prepare
) -> None:
    with psycopg.connect(embedded_url(server, "dev"), autocommit=True) as connection:
        connection.execute("alter database dev set timezone = 'Asia/Tokyo'")
    prepare("dev")
    for login in LOGINS:
        found = ask(server, "dev", f"dora_{login}_login", f"dev-{login}", "show timezone")
        assert found == [("UTC",)]


def test_a_foreign_table_in_our_schema_stops_prepare_before_any_change(
    server: dict[str, str], prepare: Prepare
) -> None:
    with psycopg.connect(embedded_url(server, "dev"), autocommit=True) as connection:
        connection.execute("create schema marts; create table marts.orders (x int)")
    with pytest.raises(ConfigurationError, match=r"table marts\.orders \(owner administrator\)"):
        prepare("dev")
    roles = "select rolname from pg_roles where rolname ~ '^dora_'"
    assert ask(server, "dev", "administrator", WORD, roles) == []
