"""The smoke test of a deploy, against moto's CloudFormation and Step Functions."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from lambda_runtime import REGION
from moto import mock_aws

from infra import smoke

CONFIG: Any = {"stepfunctions": {"execute_state_machine": True}}
ROLE = "arn:aws:iam::123456789012:role/machine"
KEY = "a-key"
VELOCITY = "/metrics/team/core/velocity"


@dataclass
class Deployed:
    """The state of the stage; tests change it."""

    end: str = "Succeed"
    public: bool = False
    answers: dict[str, Any] = field(
        default_factory=lambda: {
            "/health": {"status": "ok", "as_of": "2026-01-20T00:00:00Z"},
            "/teams": {"data": [{"id": "core"}]},
            VELOCITY: {"data": [{"week": "2026-01-05"}]},
        }
    )


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    deployed = Deployed()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            may = deployed.public or self.path == "/health" or self.headers["X-API-Key"] == KEY
            self.send_response(200 if may and self.path in deployed.answers else 401)
            self.end_headers()
            self.wfile.write(json.dumps(deployed.answers.get(self.path)).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("SMOKE_API_KEY", KEY)
    monkeypatch.setattr(smoke, "SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(sys, "argv", ["smoke", "staging", "--minutes", "0.01"])
    with mock_aws(config=CONFIG):
        deploy("service", {"Url": f"http://127.0.0.1:{server.server_port}/"})
        yield deployed
    server.shutdown()
    server.server_close()


def deploy(stack: str, outputs: dict[str, str]) -> None:
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    boto3.client("cloudformation", REGION).create_stack(
        StackName=f"dora-staging-{stack}", TemplateBody=json.dumps(template)
    )


def try_out(deployed: Deployed) -> None:
    state = {"Type": deployed.end} | ({"Seconds": 5, "End": True} if deployed.end == "Wait" else {})
    definition = json.dumps({"StartAt": "Only", "States": {"Only": state}})
    made = boto3.client("stepfunctions", REGION).create_state_machine(
        name="dora-staging", roleArn=ROLE, definition=definition
    )
    deploy("functions", {"MachineArn": made["stateMachineArn"]})
    smoke.main()


def test_a_stage_that_works_passes(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    try_out(deployed)
    assert capsys.readouterr().out == "staging works\n"


@pytest.mark.parametrize(
    ("end", "said"), [("Fail", "FAILED"), ("Wait", "still running")], ids=["fails", "hangs"]
)
def test_a_run_that_does_not_succeed_fails_the_deploy(
    deployed: Deployed, end: str, said: str
) -> None:
    deployed.end = end
    with pytest.raises(SystemExit, match=said):
        try_out(deployed)


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/health", {"status": "ok", "as_of": None}, "there is no build yet"),
        ("/teams", {"data": []}, "no team"),
        (VELOCITY, {"data": []}, "no week"),
    ],
    ids=["no build", "no team", "no week"],
)
def test_an_api_without_figures_fails_the_deploy(
    deployed: Deployed, path: str, answer: Any, said: str
) -> None:
    deployed.answers[path] = answer
    with pytest.raises(SystemExit, match=said):
        try_out(deployed)


def test_an_api_that_answers_with_an_error_fails_the_deploy(deployed: Deployed) -> None:
    del deployed.answers[VELOCITY]
    with pytest.raises(SystemExit, match=f"{VELOCITY} answers 401"):
        try_out(deployed)


def test_an_api_that_answers_without_a_key_fails_the_deploy(deployed: Deployed) -> None:
    deployed.public = True
    with pytest.raises(SystemExit, match="without a key"):
        try_out(deployed)


def test_a_missing_smoke_api_key_fails_the_deploy(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMOKE_API_KEY")
    with pytest.raises(SystemExit, match="SMOKE_API_KEY"):
        try_out(deployed)
