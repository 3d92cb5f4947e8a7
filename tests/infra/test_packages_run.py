"""The built packages, run as Lambda runs them, from a scheduled ingest to a figure of the API."""

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_account import LOG_GROUP, Account, account, start_database
from lambda_runtime import Function, Packages, started, unpack

from demo.github import GitHub
from demo.server import clock_from, serve
from dora.keys import new_key
from tests.confinement import with_new_tmp, writable

TOKEN = "ghp_a-token-that-no-log-may-show"
ADMINISTRATOR_S_WORD = "the-word-of-the-administrator"
LOGINS = ("ingest", "transform", "reader")
# Everything is logged that can be.
AWS_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "DORA_HOME": "/tmp/dora",
    "LOG_LEVEL": "DEBUG",
}
HALF = {"allocation_weight": 0.5, "joined_at": "2026-01-01", "left_at": "2026-01-12"}
TEAMS = [
    {
        "id": "core",
        "name": "Core",
        "members": [
            {"github_username": "ada", **HALF},
            {"github_username": "ada", "joined_at": "2026-01-12"},
        ],
    },
    {
        "id": "web",
        "name": "Web",
        "members": [
            {"github_username": "ada", **HALF},
            {"github_username": "bob", "joined_at": "2026-01-01"},
        ],
    },
]


def merged(number: int, author: str, created_at: str, merged_at: str) -> dict[str, Any]:
    return {
        "repository": "acme/web",
        "number": number,
        "title": f"Change {number}",
        "author": author,
        "state": "MERGED",
        "created_at": created_at,
        "updated_at": merged_at,
        "closed_at": merged_at,
        "merged_at": merged_at,
        "merged_by": None,
        "merge_commit_sha": None,
        "base_ref": "main",
        "head_ref": f"change-{number}",
        "first_commit_at": None,
        "commits": 1,
        "reviews": [],
    }


# The worked example of docs/metrics.md.
PULL_REQUESTS = [
    merged(1, "ada", "2026-01-05T09:00:00Z", "2026-01-06T09:00:00Z"),
    merged(2, "bob", "2026-01-05T09:00:00Z", "2026-01-05T19:00:00Z"),
    merged(3, "ada", "2026-01-11T00:00:00Z", "2026-01-12T00:00:00Z"),
    merged(4, "eve", "2026-01-05T00:00:00Z", "2026-01-05T01:00:00Z"),
]


@dataclass
class Life:
    """What the functions answered, and what they left behind."""

    account: Account
    hidden: list[str]
    unreadable_id: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    letters: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    return unpack(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def life(
    packages: Packages, module_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Life]:
    """Two runs of the state machine's steps, with a retry between them, and a reader of the API."""
    address = start_database(module_home, ADMINISTRATOR_S_WORD)
    # Both the hourly budget and what a repository is covered to are as of this instant.
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
        seen = Life(aws, [TOKEN, key, ADMINISTRATOR_S_WORD, *map(password_of, LOGINS)])
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


def password_of(login: str) -> str:
    return f"the-word-of-{login}"


def environments_of(
    aws: Account, queue_url: str, github_url: str, entry: dict[str, Any]
) -> dict[str, dict[str, str]]:
    """What the stacks set for each function, but for the database's address."""
    admin = {"username": "administrator", "password": ADMINISTRATOR_S_WORD}
    logins = {
        login: aws.secret(login, {"username": f"of_{login}", "password": password_of(login)})
        for login in LOGINS
    }
    return {
        "transform.prepare.handler": {
            "DB_SECRET_ARN": aws.secret("admin", admin),
            **{f"{login.upper()}_LOGIN_SECRET_ARN": arn for login, arn in logins.items()},
        },
        "ingest.handler.handler": {
            "DB_SECRET_ARN": logins["ingest"],
            "GITHUB_SECRET_ARN": aws.secret("github", TOKEN),
            "GITHUB_API_URL": github_url,
            "REPOSITORIES": "acme/web",
            "TEAM_CONFIG_JSON": json.dumps(TEAMS),
            "DLQ_URL": queue_url,
        },
        "transform.handler.handler": {"DB_SECRET_ARN": logins["transform"]},
        "api.handler.handler": {
            "DB_SECRET_ARN": logins["reader"],
            "API_KEYS_SECRET_ARN": aws.secret("keys", [entry]),
        },
    }


def live(
    functions: dict[str, Function],
    github: GitHub,
    key: str,
    seen: Life,
    letters: Callable[[], list[dict[str, Any]]],
) -> None:
    prepare, ingest, transform, api = functions.values()
    unreadable = github.pull_request("acme/web", 4)
    seen.unreadable_id = unreadable.id
    github.edit(unreadable, None, is_unreadable=True)
    started_at = {"started_at": "2026-01-20T00:07:00.123Z", "seconds": 3 * 3600}
    for run in ("first", "second"):
        seen.answers[f"{run} prepare"] = prepare.invoke(started_at)
        seen.answers[f"{run} ingest"] = ingest.invoke({"action": "ingest"})
        seen.answers[f"{run} transform"] = transform.invoke({})
        seen.answers[f"{run} figures"] = api.invoke(get("/metrics/team/web/velocity", key))
        seen.letters[run] = letters()
        github.edit(unreadable, None, is_unreadable=False)
        seen.answers[f"{run} retry"] = ingest.invoke({"action": "retry"})
    seen.answers["health"] = api.invoke(get("/health"))
    seen.answers["no key"] = api.invoke(get("/teams"))


def get(path: str, key: str | None = None) -> dict[str, Any]:
    """An event of an API Gateway HTTP API, payload format 2.0."""
    headers = {"host": "example.com"} | ({"x-api-key": key} if key else {})
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"},
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }


def test_only_tmp_can_be_written_where_the_packages_run(packages: Packages) -> None:
    within = with_new_tmp(str(packages.folder / "transform"), str(packages.runtime))
    if not within:
        warnings.warn("no mount namespace here: all of the disk can be written", stacklevel=1)
        return
    folders = ("/mnt/task", "/mnt/runtime", "/dev/shm", "/var/tmp", str(Path.home()), "/tmp")
    assert writable(within, folders) == ["/tmp"]


def test_a_scheduled_ingest_ends_in_a_signed_off_figure(life: Life) -> None:
    for run in ("first", "second"):
        answer = life.answers[f"{run} figures"]
        assert answer["statusCode"] == 200, answer
        [week] = [row for row in json.loads(answer["body"])["data"] if row["week"] == "2026-01-05"]
        assert (week["prs_merged"], week["weighted_prs_merged"]) == (2, 1.5)
        assert week["avg_cycle_time_hours"] == 17
        assert week["weighted_avg_cycle_time_hours"] == pytest.approx((0.5 * 24 + 10) / 1.5)


def test_a_warm_function_goes_on_where_the_run_before_ended(life: Life) -> None:
    ingests = [life.answers[f"{run} ingest"] for run in ("first", "second")]
    assert [each["status"] for each in ingests] == ["complete", "complete"]
    assert [each["pull_requests"] for each in ingests] == [3, 1]
    assert {life.answers[f"{run} transform"]["status"] for run in ("first", "second")} == {
        "complete"
    }


def test_the_first_step_says_until_when_a_run_may_wait(life: Life) -> None:
    prepared = life.answers["first prepare"]
    assert prepared["until"] == "2026-01-20T03:07:01Z"
    assert prepared["logins"] == [f"of_{login}" for login in LOGINS]
    assert life.answers["second prepare"] == prepared


def test_what_failed_is_on_the_queue_until_it_is_asked_for_again(life: Life) -> None:
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
