"""The built packages, run as Lambda runs them, from a scheduled ingest to a figure of the API."""

import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from lambda_runtime import Function, confinement
from moto.server import ThreadedMotoServer

from demo.github import GitHub
from demo.server import clock_from, serve
from dora.database import Database
from dora.keys import new_key
from dora.roles import ROLES
from infra.package import FUNCTIONS, PYTHON, ROOT, make

TOKEN = "ghp_a-token-that-no-log-may-show"
REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
LOGINS = {role: f"{role}_login_of_{{}}" for role in ROLES}
TEAMS = [
    {
        "id": "core",
        "name": "Core",
        "members": [
            {
                "github_username": "ada",
                "allocation_weight": 0.5,
                "joined_at": "2026-01-01",
                "left_at": "2026-01-12",
            },
            {"github_username": "ada", "joined_at": "2026-01-12"},
        ],
    },
    {
        "id": "web",
        "name": "Web",
        "members": [
            {
                "github_username": "ada",
                "allocation_weight": 0.5,
                "joined_at": "2026-01-01",
                "left_at": "2026-01-12",
            },
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
        "state": "merged",
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


def interpreter() -> tuple[str, str]:
    """Lambda's Python where this machine has it, else this one; and its version."""
    found = sorted(Path.home().glob(f".pyenv/versions/{PYTHON}*/bin/python{PYTHON}"))
    path = str(found[-1]) if found else shutil.which(f"python{PYTHON}")
    if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
        return path, PYTHON
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    warnings.warn(f"no Python {PYTHON} here: the packages run on {own}", stacklevel=1)
    return sys.executable, own


def install_runtime(folder: Path, version: str) -> None:
    """What Lambda brings itself, at the locked version."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
    command += ["--target", str(folder), "--python-version", version, "--only-binary", ":all:"]
    command += ["--python-platform", "x86_64-manylinux_2_28", "awslambdaric"]
    subprocess.run([*command, "-c", str(ROOT / "requirements" / "dev.txt")], check=True)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def github() -> Iterator[str]:
    # Both the hourly budget and what a repository is covered to are as of this instant.
    clock = clock_from("2026-01-20T00:00:00Z")
    with serve(GitHub.from_records(PULL_REQUESTS), token=TOKEN, clock=clock) as hub:
        yield hub.url


class Account:
    """The AWS account that the functions are deployed to, as far as they can see it."""

    def __init__(self, url: str) -> None:
        options = {"endpoint_url": url, "region_name": REGION}
        options |= {name.lower(): value for name, value in CREDENTIALS.items()}
        self._secrets = boto3.client("secretsmanager", **options)
        self._queues = boto3.client("sqs", **options)
        self.hidden: list[str] = [TOKEN]

    def secret(self, name: str, value: Any, *hidden: str) -> str:
        self.hidden += hidden
        text = value if isinstance(value, str) else json.dumps(value)
        answer = self._secrets.create_secret(Name=name, SecretString=text)
        return str(answer["ARN"])

    def queue(self, name: str) -> str:
        return str(self._queues.create_queue(QueueName=name)["QueueUrl"])


def test_from_a_scheduled_ingest_to_a_figure(
    aws: str, github: str, database: Database, tmp_path: Path
) -> None:
    python, version = interpreter()
    runtime = tmp_path / "runtime"
    install_runtime(runtime, version)
    for name in FUNCTIONS:
        path, _ = make(name, tmp_path, "x86_64", version)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "task" / name)
    account = Account(aws)
    parts = psycopg.conninfo.conninfo_to_dict(database.url)
    key, entry = new_key("smoke", "*")
    account.hidden.append(key)
    host = {"PGHOST": str(parts["host"]), "PGPORT": str(parts["port"])}
    host |= {"PGDATABASE": str(parts["dbname"]), "AWS_ENDPOINT_URL": aws} | CREDENTIALS
    secrets = {
        role: account.secret(
            role,
            {"username": login.format(parts["dbname"]), "password": f"pass-{role}-word"},
            f"pass-{role}-word",
        )
        for role, login in LOGINS.items()
    }
    admin = {"username": parts["user"], "password": parts.get("password", "")}
    environments = {
        "transform.prepare.handler": {
            "DB_SECRET_ARN": account.secret("admin", admin, str(admin["password"])),
            "INGEST_LOGIN_SECRET_ARN": secrets["dora_ingest"],
            "TRANSFORM_LOGIN_SECRET_ARN": secrets["dora_transform"],
            "READER_LOGIN_SECRET_ARN": secrets["dora_reader"],
        },
        "ingest.handler.handler": {
            "DB_SECRET_ARN": secrets["dora_ingest"],
            "GITHUB_SECRET_ARN": account.secret("github", TOKEN),
            "GITHUB_API_URL": github,
            "REPOSITORIES": "acme/web",
            "TEAM_CONFIG_JSON": json.dumps(TEAMS),
            "DLQ_URL": account.queue("failures"),
        },
        "transform.handler.handler": {"DB_SECRET_ARN": secrets["dora_transform"]},
        "api.handler.handler": {
            "DB_SECRET_ARN": secrets["dora_reader"],
            "API_KEYS_SECRET_ARN": account.secret("keys", [entry]),
        },
    }
    within = confinement()
    if not within:
        warnings.warn("no mount namespace here: all of the disk can be written", stacklevel=1)

    answers = {}
    logs = {}
    try:
        for handler, environment in environments.items():
            function = Function(
                python,
                tmp_path / "task" / handler.partition(".")[0],
                runtime,
                handler,
                environment | host,
                tmp_path / f"{handler}.log",
                within,
            )
            try:
                event = request(key) if handler.startswith("api") else {}
                # Twice: a warm function does the same again.
                answers[handler] = [function.invoke(event) for _ in range(2)]
            finally:
                function.close()
            logs[handler] = function.log.read_text("utf-8")
    finally:
        with database.connect(autocommit=True) as connection:
            drop_logins(connection, [login.format(parts["dbname"]) for login in LOGINS.values()])

    for handler, given in answers.items():
        assert [kind for _, kind in given] or True
        assert all("errorMessage" not in answer for _, answer in given), logs[handler][-4000:]
    assert [answer["status"] for _, answer in answers["ingest.handler.handler"]] == ["complete"] * 2
    for _, answer in answers["api.handler.handler"]:
        body = json.loads(answer["body"])
        assert answer["statusCode"] == 200, body
        [week] = [row for row in body["data"] if row["week"] == "2026-01-05"]
        assert (week["prs_merged"], week["weighted_prs_merged"]) == (2, 1.5)
        assert week["avg_cycle_time_hours"] == 17
        assert week["weighted_avg_cycle_time_hours"] == pytest.approx((0.5 * 24 + 10) / 1.5)
    for handler, log in logs.items():
        shown = [hidden for hidden in account.hidden if hidden and hidden in log]
        assert shown == [], f"{handler} shows a secret in its log"


def drop_logins(connection: psycopg.Connection[Any], logins: list[str]) -> None:
    for login in logins:
        connection.execute(f'drop role if exists "{login}"')


def request(key: str) -> dict[str, Any]:
    """An event of an API Gateway HTTP API, payload format 2.0."""
    path = "/metrics/team/web/velocity"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"x-api-key": key, "host": "example.com"},
        "requestContext": {
            "http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"},
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
