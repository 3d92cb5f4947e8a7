import io
import json
import logging
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from demo.github import GitHub
from demo.server import Fault, Server
from dora.database import Database
from dora.embedded_postgres import Embedded
from dora.errors import ConfigurationError, UnavailableError
from dora.settings import Settings
from ingest import handler as module


@dataclass
class Context:
    """The parts of Lambda's context that the handler reads."""

    milliseconds: int = 900_000
    aws_request_id: str = "request-1"
    function_name: str = "ingest"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.fixture
def log() -> io.StringIO:
    """The output of the handler's logger."""
    return io.StringIO()


@pytest.fixture
def function(
    database: Database,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: io.StringIO,
) -> Iterator[Any]:
    assert settings.github_pat is not None
    for name, value in {
        "GITHUB_PAT": settings.github_pat.get_secret_value(),
        "GITHUB_API_URL": settings.github_api_url,
        "REPOSITORIES": settings.repositories,
        "TEAM_CONFIG_JSON": settings.team_config_json,
        "DB_URL": database.url,
        "POWERTOOLS_METRICS_NAMESPACE": "dora-metrics",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(module, "HOME", tmp_path / "home")
    monkeypatch.setattr(module.logger.registered_handler, "stream", log)
    loggers = [logging.getLogger(name) for name in ("ingest", "dora")]
    before = [(found, list(found.handlers), found.propagate) for found in loggers]
    yield module.handler
    for found, handlers, propagate in before:
        found.handlers, found.propagate = handlers, propagate


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_ingest_without_teams_logs_how_to_draft_them(
    function: Any, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    monkeypatch.delenv("TEAM_CONFIG_JSON")
    assert function({}, Context())["status"] == "complete"
    [said] = [line for line in lines(log.getvalue()) if "TEAM_CONFIG_JSON" in line["message"]]
    assert "`dora teams draft`" in said["message"]
    assert said["level"] == "WARNING"


def test_an_ingest_answers_with_what_the_state_machine_needs(
    function: Any,
    github: GitHub,
    capsys: pytest.CaptureFixture[str],
    log: io.StringIO,
    settings: Settings,
    hub: Server,
) -> None:
    away = [Fault(status=502, body="")]

    def before(operation: str | None, variables: Any) -> Fault | None:
        logging.getLogger("dora.database").warning("a message of dora")
        return away.pop() if away else None

    hub.before_request = before
    answer = function({"action": "ingest"}, Context())
    assert answer["status"] == "complete"
    assert answer["resume_at"] is None
    assert answer["pull_requests"] == len(list(github.records()))
    json.dumps(answer)
    [metrics] = lines(capsys.readouterr().out)
    assert metrics["PullRequestsProcessed"] == [answer["pull_requests"]]
    assert metrics["LagSeconds"][0] > 0
    assert {"Requests", "Points", "Failures", "DatabaseSeconds"} <= metrics.keys()
    assert settings.github_pat is not None
    assert settings.github_pat.get_secret_value() not in log.getvalue()
    assert {line["correlation_id"] for line in lines(log.getvalue())} == {answer["run_id"]}
    said = [line["message"] for line in lines(log.getvalue())]
    assert "a message of dora" in said
    assert any("; retrying in " in message for message in said)


def test_what_github_answered_badly_is_counted_by_kind(
    function: Any, hub: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.github.client.LONGEST_BACKOFF", 0.0)
    faults = [
        Fault(status=502, body=""),
        Fault(status=503, body=""),
        Fault(reset=True),
        Fault(status=200, body="<html>"),
        Fault(status=429, headers={"Retry-After": "1"}, body="{}"),
        Fault(status=200, body='{"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED"}]}'),
    ]
    hub.before_request = lambda operation, variables: (
        faults.pop() if operation == "Walk" and faults else None
    )
    function({"action": "ingest"}, Context())
    [metrics] = lines(capsys.readouterr().out)
    counted = {name: value for name, value in metrics.items() if name.startswith("ApiErrors_")}
    assert counted == {
        "ApiErrors_http_5xx": [2.0],
        "ApiErrors_network": [1.0],
        "ApiErrors_body": [1.0],
        "ApiErrors_rate_limit": [1.0],
        "ApiErrors_too_big": [1.0],
    }
    named = {each["Name"] for each in metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert set(counted) <= named


def test_exactly_100_metrics_are_all_published(
    function: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 100, powertools publishes at once; `raise_on_empty_metrics` would then find none."""
    run = module.run
    kinds = {f"kind_{number}": 1 for number in range(93)}

    def run_with_errors(*arguments: Any, **options: Any) -> Any:
        result = run(*arguments, **options)
        result.usage.errors.update(kinds)
        return result

    monkeypatch.setattr(module, "run", run_with_errors)
    assert function({"action": "ingest"}, Context())["status"] == "complete"
    [published] = lines(capsys.readouterr().out)
    names = [each["Name"] for each in published["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert len(set(names)) == 100
    assert {f"ApiErrors_{kind}" for kind in kinds} < set(names)


def test_a_date_bounds_how_far_back_an_ingest_reads(
    function: Any, github: GitHub, database: Database
) -> None:
    instants = sorted(record["updated_at"] for record in github.records())
    middle = instants[len(instants) // 2][:10]
    function({"action": "ingest", "since": middle}, Context())
    with database.connect() as connection:
        query = "select min(covered_from) from raw.repositories"
        assert connection.execute(query).fetchone() == (
            datetime.fromisoformat(f"{middle}T00:00:00+00:00"),
        )


def test_refresh_reads_everything_again(function: Any) -> None:
    first = function({"action": "ingest"}, Context())
    assert function({"action": "ingest"}, Context())["pull_requests"] == 0
    again = function({"action": "ingest", "refresh": True}, Context())
    assert again["pull_requests"] == first["pull_requests"] > 0


def test_a_since_that_is_no_date_is_refused(function: Any) -> None:
    with pytest.raises(ConfigurationError, match="since 'last week' is not a date"):
        function({"action": "ingest", "since": "last week"}, Context())


def test_too_little_time_says_continue(function: Any, hub: Server) -> None:
    hub.before_request = lambda operation, variables: Fault(delay=0.5)
    answer = function({"action": "ingest"}, Context(milliseconds=62_000))
    assert answer["status"] == "continue"


def test_a_limit_longer_than_the_time_left_says_until_when_to_wait(
    function: Any, hub: Server
) -> None:
    hub.before_request = lambda operation, variables: (
        Fault(status=429, headers={"Retry-After": "3000"}, body="{}")
        if operation == "Walk"
        else None
    )
    answer = function({"action": "ingest"}, Context())
    assert answer["status"] == "wait"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["resume_at"])


def test_github_away_is_raised_for_the_state_machine_to_retry(
    function: Any, hub: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("ingest.github.client.ATTEMPTS", 1)
    with pytest.raises(UnavailableError):
        function({"action": "ingest"}, Context())


def test_a_retry_says_how_many(function: Any, github: GitHub) -> None:
    repository = next(found for found in github.repositories() if found.by_number)
    github.edit(next(iter(repository.by_number.values())), None, is_unreadable=True)
    function({}, Context())
    assert function({"action": "retry"}, Context()) == {"status": "complete", "failures": 1}


def test_a_retry_on_a_database_without_tables_finds_nothing(
    function: Any, server: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"fresh_{secrets.token_hex(4)}"
    server.create_database(name)
    monkeypatch.setenv("DB_URL", server.url(name))
    assert function({"action": "retry"}, Context()) == {"status": "complete", "failures": 0}


def test_an_action_that_is_none_is_refused(function: Any) -> None:
    with pytest.raises(Exception, match="'dance' is unknown"):
        function({"action": "dance"}, Context())
