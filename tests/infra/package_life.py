"""The configuration of the built packages and their calls: two runs, a retry, API requests."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aws_account import Account
from lambda_runtime import Function
from psycopg.conninfo import make_conninfo

from demo.github import GitHub

TOKEN = "ghp_a-token-that-no-log-may-show"
ADMINISTRATOR_S_WORD = "the-word-of-the-administrator"
LOGINS = ("ingest", "transform", "reader")
# Log everything, to find secrets in it.
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
    """The results of the functions, and the messages and logs that they wrote."""

    account: Account
    hidden: list[str]
    database: str
    unreadable_id: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    letters: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)


def database_of(address: dict[str, str]) -> str:
    """Return the connection string of the administrator."""
    return make_conninfo(
        host=address["PGHOST"],
        port=address["PGPORT"],
        dbname=address["PGDATABASE"],
        user="administrator",
        password=ADMINISTRATOR_S_WORD,
    )


def password_of(login: str) -> str:
    return f"the-word-of-{login}"


def environments_of(
    aws: Account, queue_url: str, github_url: str, entry: dict[str, Any]
) -> dict[str, dict[str, str]]:
    """Return each function's variables as the stacks set them, without the database address."""
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
    """Return an event of an API Gateway HTTP API, payload format 2.0."""
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
