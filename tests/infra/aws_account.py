"""An AWS account simulated by moto, and a Postgres server set up as RDS does it."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import psycopg
from lambda_runtime import REGION
from moto.server import ThreadedMotoServer

from dora import embedded_postgres
from dora.embedded_postgres.postmaster import DATABASE

LOG_GROUP = "functions"


@dataclass
class Account:
    """The parts of an AWS account that the functions use."""

    url: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def secret(self, name: str, value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value)
        answer = self.client("secretsmanager").create_secret(Name=name, SecretString=text)
        return str(answer["ARN"])

    def letters(self, queue_url: str) -> list[dict[str, Any]]:
        """Return the messages of a queue without removing them."""
        answer = self.client("sqs").receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    def collect(self, stream: str, lines: list[str]) -> None:
        """Put a function's log and the metrics in it into CloudWatch."""
        logs, at = self.client("logs"), round(1000 * time.time())
        logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
        events = [{"timestamp": at, "message": line} for line in lines if line]
        logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)
        for line in lines:
            if '"_aws"' in line:
                self._measure(json.loads(line))

    def _measure(self, embedded_metrics: dict[str, Any]) -> None:
        for given in embedded_metrics["_aws"]["CloudWatchMetrics"]:
            self.client("cloudwatch").put_metric_data(
                Namespace=given["Namespace"],
                MetricData=[
                    {"MetricName": each["Name"], "Unit": each["Unit"], "Value": value}
                    for each in given["Metrics"]
                    for value in embedded_metrics[each["Name"]]
                ],
            )


@contextmanager
def account() -> Iterator[Account]:
    # A line for each request would hide the rest of a failing test's log.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    made = Account(f"http://{host}:{port}")
    # All moto servers of a process share one account.
    urlopen(Request(f"{made.url}/moto-api/reset", method="POST")).close()
    made.client("logs").create_log_group(logGroupName=LOG_GROUP)
    try:
        yield made
    finally:
        server.stop()


def start_database(home: Path, password: str) -> dict[str, str]:
    """Start a server like RDS: its administrator is not a superuser. It logs every statement."""
    server = embedded_postgres.start(home)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create role administrator login createrole password '{password}'")
        connection.execute(f"alter database {DATABASE} owner to administrator")
        connection.execute("alter system set log_statement = 'all'")
        connection.execute("select pg_reload_conf()")
        port = connection.info.port
    return {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": DATABASE}
