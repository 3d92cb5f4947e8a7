import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from dora import embedded_postgres
from dora.database import Database, initialise, open_database
from dora.embedded_postgres import Embedded
from dora.embedded_postgres.location import installed_programs
from dora.errors import ConfigurationError, DoraError, UnavailableError
from dora.roles import INGEST, OWNERS, READER, ROLES, TRANSFORM
from dora.settings import Settings
from ingest.pipeline import make_tables

PASSWORD = "p:a/s@s#w?o%r d"
ENCODED = "p%3Aa%2Fs%40s%23w%3Fo%25r%20d"


def run(database: Database, statement: Any, role: str | None = None) -> list[tuple[Any, ...]]:
    with database.connect(role) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def as_login(database: Database, login: str) -> Database:
    """The same database with another login, whose password is `PASSWORD`."""
    parts = conninfo_to_dict(database.url)
    where = f"{parts['host']}:{parts['port']}/{parts['dbname']}"
    return Database(f"postgresql://{login}:{ENCODED}@{where}")


@pytest.fixture
def make_login(database: Database) -> Iterator[Callable[..., str]]:
    """Make logins with attributes; drop them afterwards, because roles outlive the database."""
    made = []

    def make(attributes: str = "") -> str:
        login = f"login_{secrets.token_hex(4)}"
        run(database, f"create role {login} login password '{PASSWORD}' {attributes}")
        made.append(login)
        return login

    yield make
    for login in made:
        run(database, f"drop owned by {login} cascade; drop role {login}")


@pytest.fixture
def cluster(home: Path) -> Embedded:
    """A separate server without our roles."""
    return embedded_postgres.start(home)


@pytest.fixture
def new_database(cluster: Embedded) -> Callable[..., Database]:
    """Make a database that belongs to a new login with these attributes."""

    def make(attributes: str) -> Database:
        name = f"own_{secrets.token_hex(4)}"
        cluster.create_database(name)
        database = Database(cluster.url(name))
        run(database, f"create role {name} login password '{PASSWORD}' {attributes}")
        run(database, f"alter database {name} owner to {name}")
        return as_login(database, name)

    return make


def test_reader_can_read_marts_created_later(database: Database) -> None:
    run(database, "create table marts.dim as select 1 as a", TRANSFORM)
    run(database, "create view marts.seen as select a from marts.dim", TRANSFORM)
    assert run(database, "select a from marts.dim", READER) == [(1,)]
    assert run(database, "select a from marts.seen", READER) == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "select * from raw.things",
        "select * from raw_staging.things",
        "select * from staging.things",
        "select * from intermediate.things",
        "insert into marts.things values (2)",
        "update marts.things set a = 2",
        "delete from marts.things",
        "truncate marts.things",
        "drop table marts.things",
        "create table marts.other (a int)",
        "create table public.other (a int)",
        "create schema other",
    ],
)
def test_reader_cannot_do_anything_else(database: Database, statement: str) -> None:
    for schema, owner in OWNERS.items():
        run(database, f"create table {schema}.things as select 1 as a", owner)
    with pytest.raises(errors.InsufficientPrivilege):
        run(database, statement, READER)
    # The role was refused; the connection and the statement are valid.
    assert run(database, "select current_user, session_user", READER) == [(READER, "dora")]


def test_transform_can_only_read_raw_tables(database: Database) -> None:
    run(database, "create table raw.things as select 1 as a", INGEST)
    assert run(database, "select a from raw.things", TRANSFORM) == [(1,)]
    with pytest.raises(errors.InsufficientPrivilege):
        run(database, "insert into raw.things values (2)", TRANSFORM)
    with pytest.raises(errors.InsufficientPrivilege):
        run(database, "create table raw.other (a int)", TRANSFORM)


def test_ingest_cannot_read_or_create_marts(database: Database) -> None:
    run(database, "create table marts.things as select 1 as a", TRANSFORM)
    for statement in ("select * from marts.things", "create table marts.other (a int)"):
        with pytest.raises(errors.InsufficientPrivilege):
            run(database, statement, INGEST)


def test_login_without_a_role_cannot_read_any_schema(
    database: Database, make_login: Callable[..., str]
) -> None:
    other = as_login(database, make_login())
    for schema, owner in OWNERS.items():
        run(database, f"create table {schema}.things as select 1 as a", owner)
        with pytest.raises(errors.InsufficientPrivilege):
            run(other, f"select * from {schema}.things")


def test_login_with_the_reader_role_can_read_the_marts(
    database: Database, make_login: Callable[..., str]
) -> None:
    login = make_login()
    run(database, f"grant dora_reader to {login}")
    run(database, "create table marts.things as select 1 as a", TRANSFORM)
    assert run(as_login(database, login), "select a from marts.things") == [(1,)]


def test_initialising_twice_changes_nothing(database: Database) -> None:
    rights = "select nspname, nspowner::regrole, nspacl::text from pg_namespace order by 1"
    defaults = "select defaclrole, defaclnamespace, defaclacl::text from pg_default_acl order by 2"
    before = run(database, rights), run(database, defaults)
    assert initialise(database) == []
    assert (run(database, rights), run(database, defaults)) == before


def test_our_objects_of_a_superuser_change_owner_and_others_do_not(
    database: Database,
) -> None:
    # As after a bare `dbt build` of the superuser.
    run(database, "drop schema staging")
    run(database, "create schema staging")
    run(database, "create view staging.stg_teams__teams as select 1 as a")
    run(database, "create table marts.dim_teams (id int generated always as identity, a text)")
    run(database, "create materialized view marts.dim_build as select 1 as a")
    run(database, "create table snapshots.snap_teams as select 1 as a")
    run(database, "create table raw.teams as select 1 as a")
    run(database, "create view marts.mine as select 1 as a; grant select on marts.mine to public")
    assert initialise(database) == []
    run(
        database, "drop view staging.stg_teams__teams; create view staging.x as select 1", TRANSFORM
    )
    run(database, "alter table marts.dim_teams add column b int", TRANSFORM)
    run(database, "refresh materialized view marts.dim_build", TRANSFORM)
    run(database, "alter table snapshots.snap_teams add column b int", TRANSFORM)
    run(database, "alter table raw.teams add column b int", INGEST)
    assert run(database, "select * from marts.dim_teams", READER) == []
    assert run(database, "select a from raw.teams", TRANSFORM) == [(1,)]
    mine = "select relowner::regrole::text, relacl::text like '%=r/dora%' from pg_class"
    assert run(database, f"{mine} where relname = 'mine'") == [("dora", True)]


def test_public_rights_are_revoked(database: Database) -> None:
    run(database, "create table marts.things as select 1 as a", TRANSFORM)
    run(database, "grant usage, create on schema marts to public", TRANSFORM)
    run(database, "grant all on marts.things to public", TRANSFORM)
    initialise(database)
    with pytest.raises(errors.InsufficientPrivilege):
        run(database, "insert into marts.things values (2)", READER)
    with pytest.raises(errors.InsufficientPrivilege):
        run(database, "select * from marts.things", INGEST)


def test_databases_of_one_cluster_are_initialised_at_the_same_time(cluster: Embedded) -> None:
    names = ["one", "two"]
    for name in names:
        cluster.create_database(name)
    databases = [Database(cluster.url(name)) for name in names * 3]
    with ThreadPoolExecutor(len(databases)) as pool:
        assert list(pool.map(initialise, databases)) == [[]] * len(databases)
    for database in databases[:2]:
        run(database, "create table marts.things as select 1 as a", TRANSFORM)
        assert run(database, "select a from marts.things", READER) == [(1,)]


def test_login_with_createrole_needs_no_superuser(
    cluster: Embedded, new_database: Callable[..., Database], tmp_path: Path
) -> None:
    database = new_database("")
    # Tables that it created before it had the right, and a view of an older release.
    initialise(database)
    make_tables(database, tmp_path)
    run(database, "create view intermediate.of_an_older_release as select 1 as a")
    login = conninfo_to_dict(database.url)["user"]
    run(Database(cluster.url()), f"alter role {login} createrole")
    assert initialise(database) == []
    assert initialise(database) == []
    for role in ROLES:
        assert run(database, "select current_user", role) == [(role,)]
    run(database, "create table marts.things as select count(*) as a from raw.teams", TRANSFORM)
    assert run(database, "select a from marts.things", READER) == [(0,)]
    with pytest.raises(errors.InsufficientPrivilege):
        run(database, "select * from raw.teams", READER)
    run(database, "drop table raw.teams", INGEST)


def test_noinherit_login_initialises_with_its_roles(
    database: Database, make_login: Callable[..., str]
) -> None:
    login = make_login("noinherit")
    run(database, f"grant dora_ingest, dora_transform, dora_reader to {login}")
    run(database, "create table marts.things as select 1 as a", TRANSFORM)
    run(database, "revoke select on marts.things from dora_reader", TRANSFORM)
    assert initialise(as_login(database, login)) == []
    assert run(database, "select a from marts.things", READER) == [(1,)]


def test_login_without_createrole_continues_with_its_own_rights_and_one_warning(
    new_database: Callable[..., Database], caplog: pytest.LogCaptureFixture
) -> None:
    database = new_database("")
    (note,) = initialise(database)
    assert "cannot switch to dora_ingest, dora_transform, dora_reader" in note
    for role in ROLES:
        assert database.role_or_none(role) is None
        assert "role" not in database.environment(role)["PGOPTIONS"]
    login = conninfo_to_dict(database.url)["user"]
    for schema, role in OWNERS.items():
        run(database, f"create table {schema}.things as select 1 as a", role)
        assert run(database, f"select a, current_user from {schema}.things", role) == [(1, login)]
    said = [record.getMessage() for record in caplog.records if READER in record.getMessage()]
    assert said == [
        f"the login {login} cannot switch to {READER} and continues with its own rights"
    ]


def test_existing_reader_can_read_marts_of_a_login_without_roles(
    database: Database, make_login: Callable[..., str]
) -> None:
    login = make_login()
    run(database, "drop schema raw, raw_staging, staging, intermediate, marts, snapshots")
    run(database, f"grant create on database {conninfo_to_dict(database.url)['dbname']} to {login}")
    own = as_login(database, login)
    (note,) = initialise(own)
    assert "continues with its own rights" in note
    run(own, "create table marts.things as select 1 as a", TRANSFORM)
    assert run(database, "select a from marts.things", READER) == [(1,)]


def test_objects_whose_owner_cannot_be_changed_are_reported(
    database: Database, make_login: Callable[..., str]
) -> None:
    login = make_login()
    run(database, f"grant dora_ingest, dora_transform, dora_reader to {login}")
    run(database, "create table marts.dim_teams as select 1 as a")
    (note,) = initialise(as_login(database, login))
    assert "table marts.dim_teams (owner dora)" in note


def test_login_with_one_role_changes_nothing_if_all_schemas_exist(
    database: Database, make_login: Callable[..., str]
) -> None:
    login = make_login()
    run(database, f"grant dora_ingest to {login}")
    assert initialise(as_login(database, login)) == []
    run(database, "drop schema snapshots")
    with pytest.raises(ConfigurationError, match="cannot create the schema snapshots"):
        initialise(as_login(database, login))


def test_login_that_cannot_create_schemas_gets_the_grant_to_run(
    database: Database, make_login: Callable[..., str]
) -> None:
    run(database, "drop schema raw cascade")
    with pytest.raises(ConfigurationError, match="grant create on database"):
        initialise(as_login(database, make_login()))


def test_role_in_pgoptions_does_not_affect_other_sessions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", database.environment(READER)["PGOPTIONS"])
    assert run(database, "select current_user") == [("dora",)]
    assert run(database, "select current_user", INGEST) == [(INGEST,)]
    run(database, "drop schema staging")
    assert initialise(database) == []


def test_psycopg2_session_has_the_role(database: Database) -> None:
    connection = psycopg2.connect(database.conninfo(INGEST))
    cursor = connection.cursor()
    cursor.execute("select current_user")
    assert cursor.fetchone() == (INGEST,)
    connection.close()


def test_options_of_the_url_apply_together_with_the_role(database: Database) -> None:
    slow = Database(f"{database.url}?options=-c%20statement_timeout%3D5s&application_name=x")
    shown = "select current_user, current_setting('statement_timeout')"
    shown += ", current_setting('application_name')"
    assert run(slow, shown, TRANSFORM) == [(TRANSFORM, "5s", "x")]


def test_environment_gives_psql_the_same_database_login_and_role(
    database: Database, make_login: Callable[..., str]
) -> None:
    login = make_login()
    run(database, f"grant dora_transform to {login}")
    environment = os.environ | as_login(database, login).environment(TRANSFORM)
    statement = "select current_database(), session_user, current_user"
    command = [str(installed_programs() / "psql"), "-XAtc", statement]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    name = conninfo_to_dict(database.url)["dbname"]
    assert done.stdout == f"{name}|{login}|{TRANSFORM}\n"


def test_environment_names_the_available_one_of_several_hosts(database: Database) -> None:
    parts = conninfo_to_dict(database.url)
    hosts, ports = "127.0.0.1,127.0.0.1", f"1,{parts['port']}"
    several = Database(
        f"postgresql:///{parts['dbname']}?host={hosts}&port={ports}"
        f"&user=dora&password={parts['password']}&sslmode=prefer"
    )
    environment = several.environment()
    assert environment["PGHOST"] == "127.0.0.1"
    assert environment["PGPORT"] == str(parts["port"])
    assert environment["PGSSLMODE"] == "prefer"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/name",
        "postgresql://user:sec@ret@host/name",
        "postgresql://user:sec/ret@host/name",
        "postgresql://user:12/secret@host/name",
        "postgresql://user:secret%zz@host/name",
        "postgresql://user:secret@host:port/name",
        "secret",
    ],
)
def test_malformed_url_is_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encode") as refusal:
        Database(url)
    assert "sec" not in str(refusal.value)
    assert refusal.value.__context__ is None or refusal.value.__suppress_context__


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("host:99999/name", "port 99999 is out of range"),
        ("host/name?unheard=1", "parameter unheard is not known"),
    ],
)
def test_invalid_part_of_a_url_is_named(end: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as refusal:
        Database(f"postgresql://user:secret@{end}")
    assert "secret" not in str(refusal.value)


def test_a_password_is_never_shown(database: Database) -> None:
    secret = f"{as_login(database, 'nobody')!r} {database} {database!r}"
    for part in (PASSWORD, ENCODED, str(conninfo_to_dict(database.url)["password"])):
        assert part not in secret


@pytest.mark.parametrize(
    ("where", "reason", "error"),
    [
        ("nobody:SECRET@127.0.0.1:1/gone", "refused", UnavailableError),
        ("nobody:SECRET@no.such.host.invalid/gone", "no.such.host.invalid", UnavailableError),
        ("nobody:SECRET@127.0.0.1:{port}/gone", "authentication failed", ConfigurationError),
        ("dora:{password}@127.0.0.1:{port}/gone", "does not exist", ConfigurationError),
    ],
    ids=["no server", "unknown host", "wrong password", "unknown database"],
)
def test_a_database_that_cannot_be_opened_is_named_in_one_line(
    server: Embedded, where: str, reason: str, error: type[DoraError]
) -> None:
    url = "postgresql://" + where.format(port=server.port, password=server.password)
    with pytest.raises(error, match=reason) as refusal:
        open_database(Settings(_env_file=None, db_url=SecretStr(url)))
    message = str(refusal.value)
    assert "\n" not in message
    assert "SECRET" not in message
    assert server.password not in message
    assert where.split("@")[1].split(":")[0].split("/")[0] in message
    assert "/gone" in message


def test_without_a_url_the_embedded_server_is_started(home: Path) -> None:
    database = open_database(Settings(_env_file=None, db_url=None, dora_home=home))
    assert database.url == embedded_postgres.start(home).url()
    assert run(database, "select current_database()") == [("dora",)]
