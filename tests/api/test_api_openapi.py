import re

import pytest
from api_support import WEB_KEY, Client

from api.auth import BAD_KEYS
from api.routes.lead_time import LeadTimeMonth
from api.routes.open_pull_requests import OpenPullRequest
from api.routes.pull_requests import MergedPullRequest
from api.routes.velocity import VelocityWeek

PATHS = {
    "/health",
    "/teams",
    "/groups",
    "/metrics/team/{team_id}/velocity",
    "/metrics/team/{team_id}/lead-time",
    "/metrics/team/{team_id}/delivery",
    "/metrics/team/{team_id}/deployments",
    "/metrics/team/{team_id}/pull-requests",
    "/metrics/team/{team_id}/reviews",
    "/metrics/compare",
    "/metrics/trends",
}


@pytest.fixture
def document(no_database):
    return no_database.get("/openapi.json").json()


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_document_describes_exactly_the_public_paths(document):
    assert set(document["paths"]) == PATHS
    for path in document["paths"].values():
        assert set(path) == {"get"}
        assert path["get"]["description"]


def test_every_reference_resolves(document):
    found = references(document)
    assert "#/components/schemas/ProblemDetail" in found
    for reference in found:
        there = document
        for part in reference.removeprefix("#/").split("/"):
            there = there[part]


def test_every_response_lists_its_media_types(document):
    for name, path in document["paths"].items():
        for status, answer in path["get"]["responses"].items():
            expected = {"application/problem+json"}
            if status == "200":
                expected = {"application/json"} | ({"text/csv"} if name != "/health" else set())
            assert set(answer.get("content", {})) == (set() if status == "304" else expected)
    statuses = set(document["paths"]["/metrics/team/{team_id}/velocity"]["get"]["responses"])
    assert statuses == {"200", "304", "401", "403", "404", "422", "429", "503"}


def test_operation_ids_are_function_names(document):
    names = {path["get"]["operationId"] for path in document["paths"].values()}
    assert names == {
        "health",
        "teams",
        "groups",
        "velocity",
        "lead_time",
        "delivery",
        "deployments",
        "pull_requests",
        "reviews",
        "compare",
        "trends",
    }


def headers(document, path: str, status: str) -> set[str]:
    return set(document["paths"][path]["get"]["responses"][status]["headers"])


def test_described_headers_match_sent_headers(document, client, anonymous, no_database):
    """Check a few responses; schemathesis checks the others."""
    page = "/metrics/team/{team_id}/pull-requests"
    asked = {
        (page, "200"): client.get(page.format(team_id="web"), params={"limit": 1}),
        ("/teams", "200"): client.get("/teams"),
        ("/teams", "401"): anonymous.get("/teams"),
        ("/teams", "503"): no_database.get("/teams"),
        ("/groups", "200"): client.get("/groups"),
        ("/health", "200"): anonymous.get("/health"),
    }
    beside = {"content-type", "content-length", "vary"}
    for (path, status), answer in asked.items():
        assert str(answer.status_code) == status
        described = {name.lower() for name in headers(document, path, status)}
        assert described == set(answer.headers) - beside, (path, status)


PROBLEMS = ["401", "403", "404", "422", "429", "503"]


@pytest.mark.parametrize("status", PROBLEMS)
def test_problem_example_matches_a_real_response(document, app, anonymous, no_database, status):
    velocity = "/metrics/team/{team_id}/velocity"
    example = document["paths"][velocity]["get"]["responses"][status]["content"]
    (example,) = [form["example"] for form in example.values()]
    limited, guessing = Client(app, key=WEB_KEY), Client(app, key="not-a-key")
    callers = {"401": anonymous, "403": limited, "503": no_database, "429": guessing}
    if status == "429":
        for _ in range(BAD_KEYS):
            guessing.get("/teams")
    asked = {"from": "2026-02-30"} if status == "422" else {}
    answer = callers.get(status, Client(app)).get(example["instance"], params=asked)
    assert answer.json() == example
    assert str(answer.status_code) == status


def test_every_path_but_health_requires_a_key(document):
    assert document["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-API-Key"
    for name, path in document["paths"].items():
        assert (path["get"]["security"] == []) == (name == "/health")


def test_parameters_have_their_public_names(document):
    parameters = document["paths"]["/metrics/team/{team_id}/pull-requests"]["get"]["parameters"]
    assert parameters.pop() == {"$ref": "#/components/parameters/If-None-Match"}
    names = {parameter["name"] for parameter in parameters}
    assert names == {"team_id", "from", "to", "state", "limit", "cursor"} | {
        "repository",
        "label",
        "base",
    }
    assert all(parameter.get("description") for parameter in parameters)


@pytest.mark.parametrize("model", [VelocityWeek, LeadTimeMonth, MergedPullRequest, OpenPullRequest])
def test_row_model_has_only_columns_of_its_query(model):
    module = __import__(model.__module__, fromlist=["QUERY"])
    for field in model.model_fields:
        assert re.search(rf"\.{field}\b", module.QUERY), field
