"""Additions to the OpenAPI document that FastAPI generates from the routes.

Media types, headers, problems, links and examples. The examples are responses about the worked
example of docs/metrics.md; a test compares them with real responses.
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api import problems
from api.responses import CSV, JSON

EXAMPLES = Path(__file__).with_name("examples.json")
_EVERYWHERE = ("X-Request-ID", "Server-Timing", "Cache-Control")
_OF_PROBLEMS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
_TEXT = {"type": "string"}
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "Id of the request, in each of its log lines. The id that the client sent "
        "is used if it has at most 128 letters, digits and `._:=/+-`.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:=/+-]{1,128}$"},
    },
    "Server-Timing": {
        "description": "Milliseconds in the database and in total.",
        "required": True,
        "schema": {"type": "string", "pattern": r"^db;dur=[0-9.]+, total;dur=[0-9.]+$"},
    },
    "Cache-Control": {
        "description": "`private, no-cache`: clients may cache the response, but must revalidate "
        "it with `If-None-Match` each time. Problems must not be cached.",
        "required": True,
        "schema": _TEXT,
    },
    "ETag": {
        "description": "Stays the same for the same build, path, parameters, media type and key.",
        "required": True,
        "schema": {"type": "string", "pattern": '^W/"[0-9a-f]{32}"$'},
    },
    "Link": {
        "description": 'The next page, with `rel="next"`. Absent on the last page.',
        "schema": _TEXT,
    },
    "X-Period": {
        "description": "The `from` and `to` of the response, also for CSV: "
        "`2026-01-05/2026-01-11`, with `..` for an open end.",
        "required": True,
        "schema": {
            "type": "string",
            "pattern": r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|\.\.)/([0-9]{4}-[0-9]{2}-[0-9]{2}|\.\.)$",
        },
    },
    "Retry-After": {
        "description": "Seconds to wait before the next request.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "States that an API key is required.",
        "required": True,
        "schema": _TEXT,
    },
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of a cached response; the status is 304 if it is current.",
        "schema": _TEXT,
    }
}
_FIRST_ID = "$response.body#/data/0/id"
_LINKS: dict[str, dict[str, dict[str, Any]]] = {
    "teams": {
        name: {"operationId": name, "parameters": {"team_id": _FIRST_ID}}
        for name in ("velocity", "lead_time", "delivery", "deployments", "pull_requests", "reviews")
    }
    | {"compare": {"operationId": "compare", "parameters": {"team": _FIRST_ID}}},
    **{
        name: {
            "next": {
                "operationId": name,
                "description": "The next page, if there is one.",
                "parameters": {
                    "team_id": "$request.path.team_id",
                    "cursor": "$response.body#/next_cursor",
                },
            }
        }
        for name in ("deployments", "pull_requests")
    },
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a path may return."""
    schema = {"$ref": "#/components/schemas/ProblemDetail"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "headers": _headers(*_EVERYWHERE, *_OF_PROBLEMS.get(status, ())),
            "content": {problems.MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def rows(*statuses: int, more: Sequence[str] = ("X-Period",)) -> dict[int | str, dict[str, Any]]:
    """Describe a response of rows, as JSON or CSV, and the problems that the path may return.

    `more` are headers in addition to those of every response of rows.
    """
    names = (*_EVERYWHERE, "ETag", *more)
    return {
        200: {"headers": _headers(*names), "content": {JSON: {}, CSV: {"schema": _TEXT}}},
        304: {
            "description": "The cached response is current.",
            "headers": _headers(*_EVERYWHERE, "ETag"),
        },
        **_problems(*statuses),
    }


def fresh(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe a response that is never cached, and the problems that the path may return."""
    return {200: {"headers": _headers(*_EVERYWHERE)}, **_problems(*statuses)}


def operation_id(route: APIRoute) -> str:
    """Return the name of the route's function; generated clients name their methods after it."""
    return route.name


TAGS = [
    {"name": "health", "description": "Whether the service works, and how new its data are."},
    {"name": "teams", "description": "The teams, with their members."},
    {"name": "metrics", "description": "Figures of teams, and the rows behind them."},
]


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the parts of the document that the routes do not describe."""
    components = document["components"]
    _, definitions = models_json_schema(
        [(problems.ProblemDetail, "serialization")], ref_template="#/components/schemas/{model}"
    )
    components["schemas"].update(definitions["$defs"])
    components["headers"] = HEADERS
    components["parameters"] = PARAMETERS
    examples = json.loads(EXAMPLES.read_text("utf-8"))
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation, examples)
    return document


def _complete(operation: dict[str, Any], examples: Mapping[str, Any]) -> None:
    name, answers = operation["operationId"], operation["responses"]
    mine = examples["answers"][name]
    for parameter in operation.get("parameters", []):
        if parameter["name"] in mine["parameters"]:
            parameter["example"] = mine["parameters"][parameter["name"]]
    for media_type, value in mine["forms"].items():
        answers["200"]["content"][media_type]["example"] = value
    for status, problem in examples["problems"].items():
        if status in answers:
            answers[status]["content"][problems.MEDIA_TYPE]["example"] = problem
    if "304" in answers:
        reference = {"$ref": "#/components/parameters/If-None-Match"}
        operation.setdefault("parameters", []).append(reference)
    if name in _LINKS:
        answers["200"]["links"] = _LINKS[name]


def _headers(*names: str) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
