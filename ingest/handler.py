"""The Lambda function: `{"action": "ingest"}` or `{"action": "retry"}`.

For an ingest, the date `since` limits how far back it reads, as `dora ingest --since` does, and
`"refresh": true` makes it read everything again. It returns `{"status": "complete" | "continue" |
"wait", "resume_at": …, "ended_at": …}` and its counts; on `continue` and `wait` the state machine
calls it again. It writes files only below /tmp.
"""

import logging
import os
import uuid
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dora.database import initialise, open_database
from dora.errors import ConfigurationError, UnavailableError
from dora.settings import Settings, load_settings
from dora.timestamps import whole_seconds
from ingest.config import NO_TEAMS, read_config
from ingest.dead_letters import ask_for_retry
from ingest.pipeline import make_tables, run
from ingest.run_result import RunResult

# Time to load the pages read, to record the run and to return, before Lambda stops the function.
MARGIN_SECONDS = 60.0
HOME = Path("/tmp/dora")
COUNTED = ("repositories", "repositories_failed", "pull_requests", "reviews", "failures")

logger = Logger(service="ingest", level=os.environ.get("LOG_LEVEL", "INFO"))
metrics = Metrics(namespace="dora-metrics", service="ingest")


# `raise_on_empty_metrics` is off because it treats exactly 100 metrics as none.
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run the action of the event; raise errors that a retry by the state machine may fix."""
    logger.append_keys(function_request_id=context.aws_request_id)
    # The loggers of `ingest` are already children of `logger`, which has the name of its service.
    copy_config_to_registered_loggers(source_logger=logger, include={"dora"})
    for noisy in ("httpx", "httpcore", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    settings = load_settings().model_copy(update={"dora_home": HOME})
    action = event.get("action", "ingest")
    if action == "ingest":
        refresh = bool(event.get("refresh"))
        return _ingest(settings, context, _since(event.get("since")), refresh)
    if action == "retry":
        return _retry(settings)
    raise ConfigurationError(f"action {action!r} is unknown; use 'ingest' or 'retry'")


def _since(said: str | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(said), time.min, UTC) if said else None
    except (TypeError, ValueError):
        raise ConfigurationError(f"since {said!r} is not a date; use the form 2025-01-31") from None


def _ingest(
    settings: Settings, context: LambdaContext, since: datetime | None, refresh: bool
) -> dict[str, Any]:
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
    database = open_database(settings)
    run_id = uuid.uuid4().hex
    logger.set_correlation_id(run_id)
    config = read_config(settings, since=since, refresh=refresh)
    if not config.teams:
        logger.warning(NO_TEAMS)
    result = run(config, database, HOME, seconds=seconds, run_id=run_id)
    if result is None:
        logger.info("another run is in progress")
        return {"status": "complete", "resume_at": None, "ended_at": _now(), "skipped": True}
    for message in result.messages:
        logger.warning(message)
    _measure(result)
    if result.status == "failed":
        raise UnavailableError(result.error or "the run failed")
    answer = {name: getattr(result, name) for name in COUNTED}
    answer |= {
        "run_id": result.run_id,
        "status": result.status if result.status in {"continue", "wait"} else "complete",
        "resume_at": whole_seconds(result.resume_at) if result.resume_at else None,
        "ended_at": _now(),
    }
    logger.info("run ended", extra=answer)
    return answer


def _now() -> str:
    return whole_seconds(datetime.now(UTC))


def _retry(settings: Settings) -> dict[str, Any]:
    database = open_database(settings)
    initialise(database)
    make_tables(database, HOME)
    asked = ask_for_retry(database, settings.dlq_url, datetime.now(UTC))
    logger.info("failures will be retried", extra={"failures": asked})
    return {"status": "complete", "failures": asked}


def _measure(result: RunResult) -> None:
    counts = {
        "PullRequestsProcessed": result.pull_requests,
        "Requests": result.usage.requests,
        "Points": result.usage.points,
        "Failures": result.failures,
        "RepositoriesFailed": result.repositories_failed,
    }
    counts |= {f"ApiErrors_{kind}": count for kind, count in result.usage.errors.items()}
    for name, count in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    seconds = {"DatabaseSeconds": result.database_seconds}
    if result.as_of is not None:
        seconds["LagSeconds"] = (datetime.now(UTC) - result.as_of).total_seconds()
    for name, value in seconds.items():
        metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=value)
