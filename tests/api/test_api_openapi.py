import re

import pytest

from api.routes.lead_time import LeadTimeMonth
from api.routes.pull_requests import MergedPullRequest
from api.routes.velocity import VelocityWeek

PATHS = {
    "/health",
    "/teams",
    "/metrics/team/{team_id}/velocity",
    "/metrics/team/{team_id}/lead-time",
    "/metrics/team/{team_id}/pull-requests",
    "/metrics/compare",
}


@pytest.fixture
def document(no_database):
    return no_database.get("/openapi.json").json()


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_path_is_described_and_no_other(document):
    assert set(document["paths"]) == PATHS
    for path in document["paths"].values():
        assert set(path) == {"get"}
        assert path["get"]["description"]


def test_every_reference_leads_somewhere(document):
    found = references(document)
    assert "#/components/schemas/ProblemDetail" in found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_every_problem_is_described_as_one(document):
    for path in document["paths"].values():
        for status, answer in path["get"]["responses"].items():
            media_type = "application/json" if status == "200" else "application/problem+json"
            assert set(answer["content"]) == {media_type}
    statuses = set(document["paths"]["/metrics/team/{team_id}/velocity"]["get"]["responses"])
    assert statuses == {"200", "401", "403", "404", "422", "429", "503"}


def test_everything_but_health_asks_for_the_key(document):
    assert document["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-API-Key"
    for name, path in document["paths"].items():
        assert ("security" in path["get"]) == (name != "/health")


def test_parameters_are_named_as_callers_write_them(document):
    parameters = document["paths"]["/metrics/team/{team_id}/pull-requests"]["get"]["parameters"]
    names = {parameter["name"] for parameter in parameters}
    assert names == {"team_id", "from", "to", "limit", "cursor"}
    assert all(parameter.get("description") for parameter in parameters)


@pytest.mark.parametrize("model", [VelocityWeek, LeadTimeMonth, MergedPullRequest])
def test_a_row_names_only_columns_that_its_query_reads(model):
    module = __import__(model.__module__, fromlist=["QUERY"])
    for field in model.model_fields:
        assert re.search(rf"\.{field}\b", module.QUERY), field
