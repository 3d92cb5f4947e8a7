import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from api_support import ALL_KEY, API_KEYS, Marts

from api.app import create_app
from api.handler import BehindStage, handler


def event(path: str, query: str = "", stage: str = "$default", key: str | None = ALL_KEY) -> dict:
    """An event of an API Gateway HTTP API, payload format 2.0.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    headers = {
        "accept": "*/*",
        "content-length": "0",
        "host": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
        "user-agent": "curl/8.5.0",
        "x-amzn-trace-id": "Root=1-00000000-000000000000000000000000",
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    if key is not None:
        headers["x-api-key"] = key
    prefix = "" if stage == "$default" else f"/{stage}"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": prefix + path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": {
                "method": "GET",
                "path": prefix + path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "AAAAAAAAAAAAAAA=",
            "routeKey": "$default",
            "stage": stage,
            "time": "20/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1768867200000,
        },
        "isBase64Encoded": False,
    }


CONTEXT = SimpleNamespace(function_name="api", aws_request_id="1", memory_limit_in_mb=512)


@pytest.fixture
def lambda_environment(marts: Marts, monkeypatch, tmp_path):
    """The environment of the function, read at the first request as in a cold start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "api")
    monkeypatch.setenv("DB_URL", marts.url)
    monkeypatch.setenv("API_KEYS", API_KEYS)
    fresh = create_app()
    monkeypatch.setattr(handler, "app", BehindStage(fresh))
    yield
    fresh.state.marts.close()


def invoke(*parameters: str, **options: str | None) -> tuple[dict, dict]:
    answer = handler(event(*parameters, **options), CONTEXT)
    assert answer["isBase64Encoded"] is False
    return answer, json.loads(answer["body"])


@pytest.mark.usefixtures("lambda_environment")
@pytest.mark.parametrize("stage", ["$default", "prod", "teams"])
def test_event_is_answered_at_any_stage(stage):
    answer, body = invoke("/metrics/team/core/velocity", "from=2026-01-12", stage=stage)
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "application/json"
    assert [week["week"] for week in body["data"]] == ["2026-01-12", "2026-01-19"]


@pytest.mark.usefixtures("lambda_environment")
def test_one_container_answers_one_event_after_another():
    for path in ("/health", "/teams", "/metrics/team/web/lead-time", "/health"):
        assert invoke(path, stage="prod")[0]["statusCode"] == 200


@pytest.mark.usefixtures("lambda_environment")
@pytest.mark.parametrize(
    ("path", "query", "key", "status"),
    [
        pytest.param("/teams", "", None, 401, id="no key"),
        pytest.param("/nowhere", "", ALL_KEY, 404, id="no path"),
        pytest.param("/metrics/team/x/velocity", "", ALL_KEY, 404, id="no team"),
        pytest.param("/metrics/team/core/velocity", "to=x", ALL_KEY, 422, id="no date"),
    ],
)
def test_problem_is_returned_as_text(path, query, key, status):
    answer, body = invoke(path, query, key=key)
    assert answer["statusCode"] == body["status"] == status
    assert answer["headers"]["content-type"] == "application/problem+json"


@pytest.mark.usefixtures("lambda_environment")
def test_links_and_openapi_contain_a_named_stage():
    _, links = invoke("/", stage="prod")
    assert links["health"] == "/prod/health"
    _, document = invoke("/openapi.json", stage="prod")
    assert document["servers"] == [{"url": "/prod"}]


@pytest.mark.usefixtures("lambda_environment")
@pytest.mark.parametrize("stage", ["$default", "prod"])
def test_response_without_body_has_no_content_type(stage):
    """With payload 2.0, Mangum sets the content type to JSON if the app sets none."""
    asked = event("/teams", stage=stage)
    asked["headers"]["if-none-match"] = handler(asked, CONTEXT)["headers"]["etag"]
    kept = handler(asked, CONTEXT)
    assert (kept["statusCode"], kept["body"]) == (304, "")
    assert "content-type" not in kept["headers"]
    assert "etag" in kept["headers"]
    redirected = handler(event("/teams/", stage=stage), CONTEXT)
    assert (redirected["statusCode"], redirected["headers"]["location"]) == (307, "../teams")
    assert "content-type" not in redirected["headers"]


@pytest.mark.usefixtures("lambda_environment")
def test_head_response_has_the_content_type_of_get():
    asked = event("/teams")
    asked["requestContext"]["http"]["method"] = "HEAD"
    answer = handler(asked, CONTEXT)
    assert (answer["statusCode"], answer["body"]) == (200, "")
    assert answer["headers"]["content-type"] == "application/json"


@pytest.mark.usefixtures("lambda_environment")
@pytest.mark.parametrize("stage", ["$default", "prod"])
def test_browser_at_unknown_path_of_a_stage_gets_link_home(stage):
    asked = event("/no/where", stage=stage)
    asked["headers"]["accept"] = "text/html"
    answer = handler(asked, CONTEXT)
    assert answer["statusCode"] == 404
    assert answer["headers"]["content-type"].startswith("text/html")
    assert 'href="./../' in answer["body"]


@pytest.mark.usefixtures("lambda_environment")
def test_function_without_keys_answers_only_health(monkeypatch):
    monkeypatch.delenv("API_KEYS")
    assert invoke("/teams", key=None)[0]["statusCode"] == 401
    assert invoke("/health", key=None)[0]["statusCode"] == 200


@pytest.mark.usefixtures("lambda_environment")
def test_missing_event_loop_is_created():
    asyncio.run(asyncio.sleep(0))
    assert invoke("/health")[0]["statusCode"] == 200


@pytest.mark.usefixtures("lambda_environment")
@pytest.mark.parametrize("name", ["x-junk", "accept", "if-none-match", "x-request-id", "x-api-key"])
def test_an_event_with_an_oversized_header_is_answered(name):
    asked = event("/teams")
    asked["headers"][name] = "x" * 1_000_000
    answer = handler(asked, CONTEXT)
    assert answer["statusCode"] == (401 if name == "x-api-key" else 200)
    assert sum(map(len, answer["headers"].values())) < 2000


@pytest.mark.usefixtures("lambda_environment")
def test_percent_encoded_path_is_decoded():
    answer = handler(event("/metrics/team/c%6Fre/velocity"), CONTEXT)
    assert answer["statusCode"] == 200


IMPORTED = """
import sys
import api.handler
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"boto3", "botocore", "dlt", "dbt", "ingest", "demo", "httpx", "typer"}))
"""


def test_import_loads_nothing_heavy_and_reads_no_configuration(tmp_path):
    environment = {"API_KEYS": "[malformed", "DB_URL": "nonsense", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
