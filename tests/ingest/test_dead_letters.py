"""Permanent failures: in the table, in the queue, and retried by the next ingest."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from demo.github import GitHub
from demo.organisation import Organisation
from dora.database import Database
from dora.errors import StoppedEarly
from ingest.dead_letters import ask_for_retry, tell_queue
from ingest.lock import Lock
from ingest.run_result import RunResult
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import landed, prs, rows, unlike

Ingest = Callable[..., RunResult]


def ask(database: Database, queue_url: str | None = None) -> int:
    return ask_for_retry(database, queue_url, datetime.now(UTC))


@pytest.fixture
def queue_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A dead letter queue."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield boto3.client("sqs").create_queue(QueueName="dead-letters")["QueueUrl"]


def held_by(queue_url: str) -> int:
    attributes = ["ApproximateNumberOfMessages"]
    held = boto3.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=attributes)
    return int(held["Attributes"]["ApproximateNumberOfMessages"])


def test_a_failure_is_told_to_the_queue_once_and_retried_from_there(
    ingest: Ingest, database: Database, github: GitHub, queue_url: str
) -> None:
    unreadable = prs(github)[0]
    github.edit(unreadable, None, is_unreadable=True)
    ingest(dlq_url=queue_url)
    boto3.client("sqs").send_message(QueueUrl=queue_url, MessageBody="somebody else's")
    ingest(dlq_url=queue_url)
    assert held_by(queue_url) == 2
    github.edit(unreadable, None, is_unreadable=False)
    assert ask(database, queue_url) == 1
    ingest(dlq_url=queue_url)
    # The foreign message stays.
    assert held_by(queue_url) == 1
    assert unlike(database, github) == []


def test_what_fails_again_unasked_is_not_told_again(
    ingest: Ingest, database: Database, github: GitHub, organisation: Organisation, queue_url: str
) -> None:
    """The pull request was changed and is still unreadable."""
    unreadable = prs(github)[0]
    github.edit(unreadable, None, is_unreadable=True)
    ingest(dlq_url=queue_url)
    github.edit(unreadable, datetime.fromisoformat(organisation.end) + timedelta(minutes=30))
    ingest(dlq_url=queue_url)
    assert rows(database, "select attempts from raw.ingest_failures") == [{"attempts": 2}]
    assert held_by(queue_url) == 1


def test_a_dead_letter_says_what_failed_where_and_how_often(
    ingest: Ingest, github: GitHub, queue_url: str
) -> None:
    unreadable = prs(github)[0]
    github.edit(unreadable, None, is_unreadable=True)
    result = ingest(dlq_url=queue_url)
    [message] = boto3.client("sqs").receive_message(QueueUrl=queue_url)["Messages"]
    told = json.loads(message["Body"])
    assert len(told.pop("id")) == 32
    assert told == {
        "kind": "pull_request",
        "repository": unreadable.repository.name_with_owner,
        "repository_id": unreadable.repository.id,
        "subject_id": unreadable.id,
        "number": None,
        "reason": "Something went wrong while executing your query.",
        "attempts": 1,
        "run_id": result.run_id,
    }


def test_what_fails_again_comes_back_to_the_queue(
    ingest: Ingest, database: Database, github: GitHub, queue_url: str
) -> None:
    github.edit(prs(github)[0], None, is_unreadable=True)
    ingest(dlq_url=queue_url)
    assert ask(database, queue_url) == 1
    assert held_by(queue_url) == 0
    ingest(dlq_url=queue_url)
    assert held_by(queue_url) == 1
    assert rows(database, "select attempts from raw.ingest_failures") == [{"attempts": 2}]


def test_what_a_killed_run_could_not_tell_the_queue_the_next_one_tells(
    ingest: Ingest, github: GitHub, queue_url: str
) -> None:
    github.edit(prs(github)[0], None, is_unreadable=True)
    ingest()
    assert held_by(queue_url) == 0
    ingest(dlq_url=queue_url)
    assert held_by(queue_url) == 1


def test_a_queue_that_is_away_does_not_stop_the_run(
    ingest: Ingest, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    github.edit(prs(github)[0], None, is_unreadable=True)
    with mock_aws():
        assert ingest(dlq_url="https://sqs.us-east-1.amazonaws.com/1/none").failures == 1


def test_what_failed_is_fetched_again_when_asked_for(
    ingest: Ingest, database: Database, github: GitHub
) -> None:
    clock = SimulatedClock()
    unreadable = prs(github)[0]
    github.edit(unreadable, None, is_unreadable=True)
    ingest(clock=clock)
    clock.pass_by(2 * 86400)
    ingest(clock=clock)
    [failure] = rows(database, "select attempts, resolved_at from raw.ingest_failures")
    assert failure == {"attempts": 2, "resolved_at": None}
    # Later runs do not retry it.
    github.edit(unreadable, None, is_unreadable=False)
    ingest(clock=clock)
    assert unreadable.id not in landed(database)
    ask(database)
    ingest(clock=clock)
    assert unlike(database, github) == []
    [failure] = rows(database, "select attempts, resolved_at from raw.ingest_failures")
    assert failure["resolved_at"] is not None


@pytest.fixture
def silent_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A queue that accepts connections and never answers, as in a network without endpoint."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield "https://sqs.us-east-1.amazonaws.com/1/none"


def test_a_queue_that_never_answers_does_not_keep_the_run(
    ingest: Ingest, github: GitHub, silent_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.dead_letters.READ_SECONDS", 0.2)
    github.edit(prs(github)[0], None, is_unreadable=True)
    began = time.monotonic()
    assert ingest(dlq_url=silent_queue).failures == 1
    # By default boto makes five attempts of a minute each.
    assert time.monotonic() - began < 30


def test_a_database_away_as_the_queue_is_told_does_not_undo_the_run(
    ingest: Ingest, github: GitHub, database: Database, queue_url: str, caplog: Any
) -> None:
    github.edit(prs(github)[0], None, is_unreadable=True)
    ingest()
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    tell_queue(away, queue_url, datetime.now(UTC))
    assert "the dead letter queue accepted 0 failures, then" in caplog.text
    tell_queue(database, queue_url, datetime.now(UTC))
    assert held_by(queue_url) == 1


def test_a_retry_waits_for_a_run_to_end(ingest: Ingest, database: Database) -> None:
    ingest()
    with Lock(database), pytest.raises(StoppedEarly, match="an ingest run is in progress"):
        ask(database)


@pytest.mark.parametrize("region", ["us-east-1", None], ids=["nobody listens", "no region"])
def test_a_retry_without_its_queue_says_so_in_one_line(
    ingest: Ingest, database: Database, tmp_path: Path, region: str | None
) -> None:
    ingest()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "DB_URL": database.url,
        "DORA_HOME": str(tmp_path),
        "DLQ_URL": "https://sqs.us-east-1.amazonaws.com/1/none",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        **({"AWS_DEFAULT_REGION": region} if region else {}),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli", "retry"],
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 69
    assert "DLQ_URL https://sqs.us-east-1.amazonaws.com/1/none is unavailable" in done.stderr
    assert "Traceback" not in done.stderr
