"""Every path through the state machine of the template, run by moto's interpreter."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import requests
from lambda_runtime import REGION
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from stack_templates import Template, resolved

from dora.timestamps import whole_seconds
from infra.settings import BUSY_MINUTES, FIRST_PAUSE, LONGEST_WAIT, RETRIES

ACCOUNT = "123456789012"
ANSWERS_URL = "http://motoapi.amazonaws.com/moto-api/static/lambda-simple/response"
CONFIG: Any = {"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}
FUNCTIONS = ("Prepare", "Ingest", "Transform")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/machine"
SECONDS = 60
LATER, PAST, UNTIL = "2026-01-20T04:00:00Z", "2026-01-20T01:00:00Z", "2026-01-20T03:07:00Z"
PREPARED = {"status": "complete", "until": UNTIL}
COMPLETE = {"status": "complete", "resume_at": None, "ended_at": PAST}
CONTINUE = COMPLETE | {"status": "continue"}
WAIT = COMPLETE | {"status": "wait", "resume_at": PAST}
BUILT = {"status": "complete"}
# The form in which Lambda's runtime returns an exception.
AWAY = {"errorType": "UnavailableError", "errorMessage": "GitHub is unavailable", "stackTrace": []}
BUSY = {"errorType": "Lambda.TooManyRequestsException", "errorMessage": "Rate Exceeded."}
HOPELESS = {"errorType": "ConfigurationError", "errorMessage": "the token is refused"}


@dataclass
class Machine:
    """The state machine, its calls of functions and its pauses in seconds."""

    arn: str
    queue_url: str
    called: list[tuple[str, Any]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def run(self, *answers: dict[str, Any]) -> dict[str, Any]:
        """Run it with these results of the functions, in this order; return its final state."""
        results = [json.dumps(answer) for answer in answers]
        queued = requests.post(ANSWERS_URL, json={"results": results, "region": REGION}, timeout=5)
        assert queued.status_code == 201
        client = boto3.client("stepfunctions", REGION)
        execution = client.start_execution(stateMachineArn=self.arn)["executionArn"]
        until = time.monotonic() + SECONDS
        while (said := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < until, self.called
            time.sleep(0.02)
        return dict(said)

    def steps(self) -> list[str]:
        return [name for name, _ in self.called]

    def letters(self) -> list[dict[str, Any]]:
        messages = boto3.client("sqs", REGION).receive_message(QueueUrl=self.queue_url)
        return [json.loads(message["Body"]) for message in messages.get("Messages", [])]


@pytest.fixture
def machine(
    templates: dict[str, dict[str, Template]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    template = templates["there"]["functions"].only("StepFunctions::StateMachine")
    arns = {
        name: f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name.lower()}" for name in FUNCTIONS
    }
    with mock_aws(config=CONFIG):
        queue_url = boto3.client("sqs", REGION).create_queue(QueueName="letters")["QueueUrl"]
        known = arns | {"DeadLetters": queue_url, "Partition": "aws"}
        made = boto3.client("stepfunctions", REGION).create_state_machine(
            name="dora", roleArn=ROLE, definition=resolved(template["DefinitionString"], known)
        )
        machine = Machine(made["stateMachineArn"], queue_url)
        monkeypatch.setattr(LambdaSimpleBackend, "invoke", noting(machine, LambdaSimpleBackend))
        # Record the pauses between attempts instead of sleeping.
        clock = SimpleNamespace(sleep=machine.pauses.append)
        monkeypatch.setattr(retrier_decl, "time", clock)
        with utc():
            yield machine


@contextmanager
def utc() -> Iterator[None]:
    """Set the local time zone to UTC, as moto assumes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def noting(machine: Machine, backend: type[LambdaSimpleBackend]) -> Any:
    """Record each call; mark an error result as Lambda does, because moto does not."""
    answer_of = backend.invoke

    def invoke(self: Any, name: str, qualifier: Any, body: Any, headers: Any, answered: Any) -> Any:
        machine.called.append((name.rpartition(":")[2].capitalize(), json.loads(body)))
        answer = answer_of(self, name, qualifier, body, headers, answered)
        if answer is not None and "errorType" in json.loads(answer):
            answered["x-amz-function-error"] = "Unhandled"
        return answer

    return invoke


def test_a_complete_ingest_is_followed_by_the_transform(machine: Machine) -> None:
    said = machine.run(PREPARED, COMPLETE, BUILT)
    assert said["status"] == "SUCCEEDED"
    [(_, prepared), (_, ingested), _] = machine.called
    assert machine.steps() == ["Prepare", "Ingest", "Transform"]
    assert prepared["seconds"] == LONGEST_WAIT.total_seconds()
    started_at = datetime.fromisoformat(prepared["started_at"])
    assert abs(started_at - said["startDate"]) < timedelta(seconds=1)
    assert ingested == {"action": "ingest"}
    assert machine.letters() == []


def test_an_incomplete_ingest_continues_at_once(machine: Machine) -> None:
    said = machine.run(PREPARED, CONTINUE, CONTINUE, COMPLETE, BUILT)
    assert said["status"] == "SUCCEEDED"
    assert machine.steps() == ["Prepare", "Ingest", "Ingest", "Ingest", "Transform"]


def test_an_ingest_at_githubs_rate_limit_continues_at_resume_at(machine: Machine) -> None:
    resume_at = datetime.now(UTC) + timedelta(seconds=2)
    until = whole_seconds(resume_at + LONGEST_WAIT)
    wait = WAIT | {"resume_at": whole_seconds(resume_at)}
    began = time.monotonic()
    said = machine.run(PREPARED | {"until": until}, wait, WAIT, COMPLETE, BUILT)
    assert said["status"] == "SUCCEEDED"
    assert machine.steps() == ["Prepare", "Ingest", "Ingest", "Ingest", "Transform"]
    # moto waits for whole seconds, rounded down.
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    "late", [CONTINUE | {"ended_at": LATER}, WAIT | {"resume_at": LATER}], ids=["continue", "wait"]
)
def test_an_ingest_past_the_time_limit_is_left_to_the_next_run(
    machine: Machine, late: dict[str, Any]
) -> None:
    assert machine.run(PREPARED, late, BUILT)["status"] == "SUCCEEDED"
    assert machine.steps() == ["Prepare", "Ingest", "Transform"]


def test_an_error_is_retried_with_growing_pauses(machine: Machine) -> None:
    said = machine.run(PREPARED, *[AWAY] * RETRIES, COMPLETE, AWAY, BUILT)
    assert said["status"] == "SUCCEEDED"
    assert machine.steps() == ["Prepare", *["Ingest"] * (1 + RETRIES), *["Transform"] * 2]
    longest = [FIRST_PAUSE.total_seconds() * 2**attempt for attempt in range(RETRIES)]
    longest.append(FIRST_PAUSE.total_seconds())
    assert len(machine.pauses) == len(longest)
    for pause, limit in zip(machine.pauses, longest, strict=True):
        assert 0 <= pause <= limit
    assert machine.letters() == []


def test_a_function_in_use_by_another_run_is_waited_for(machine: Machine) -> None:
    said = machine.run(PREPARED, *[BUSY] * BUSY_MINUTES, COMPLETE, BUILT)
    assert said["status"] == "SUCCEEDED"
    assert machine.pauses == [60] * BUSY_MINUTES


@pytest.mark.parametrize(
    ("error", "attempts"), [(AWAY, 1 + RETRIES), (HOPELESS, 1), (BUSY, 1 + BUSY_MINUTES)]
)
@pytest.mark.parametrize("step", FUNCTIONS)
def test_a_permanent_failure_is_a_dead_letter_and_fails_the_run(
    machine: Machine, step: str, error: dict[str, Any], attempts: int
) -> None:
    before = [PREPARED, COMPLETE, BUILT][: FUNCTIONS.index(step)]
    said = machine.run(*before, *[error] * attempts, BUILT)
    assert (said["status"], said["error"]) == ("FAILED", "RunFailed")
    assert machine.steps() == [*FUNCTIONS[: FUNCTIONS.index(step)], *[step] * attempts]
    [letter] = machine.letters()
    assert letter["execution"] == said["executionArn"]
    assert letter["error"]["Error"] == error["errorType"]
    assert json.loads(letter["error"]["Cause"])["errorMessage"] == error["errorMessage"]
