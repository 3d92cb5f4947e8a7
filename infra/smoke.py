"""Smoke test of a deployed stage: a whole run, `/health`, and one team's velocity.

The API key is in SMOKE_API_KEY; boto3 finds the AWS credentials.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import boto3

SECONDS_BETWEEN_LOOKS = 10.0
TIMEOUT_SECONDS = 35.0


class SmokeError(Exception):
    """The deployed stage does not work."""


def outputs(stack: str) -> dict[str, str]:
    """Return the outputs of a stack by name."""
    [found] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


def run(machine: str, minutes: float) -> None:
    """Run the state machine and wait until it ends; raise `SmokeError` if it fails."""
    client: Any = boto3.client("stepfunctions")
    execution = client.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    until = time.monotonic() + 60 * minutes
    while (said := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        if time.monotonic() > until:
            raise SmokeError(f"{execution} is still running after {minutes:g} min")
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if said["status"] != "SUCCEEDED":
        raise SmokeError(f"{execution} {said['status']}: see the dead letter queue")


def ask(url: str, path: str, key: str | None = None) -> Any:
    """Return the JSON of the API's response; raise `SmokeError` for an error status."""
    headers = {"Accept": "application/json"} | ({"X-API-Key": key} if key else {})
    request = urllib.request.Request(url.rstrip("/") + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SmokeError(f"{path} answers {error.code}") from None


def look(url: str, key: str) -> None:
    """Raise `SmokeError` if the API has no figures, or answers without a key."""
    if ask(url, "/health")["as_of"] is None:
        raise SmokeError("/health has no as_of: there is no build yet")
    try:
        ask(url, "/teams")
    except SmokeError:
        pass
    else:
        raise SmokeError("/teams answers without a key")
    teams = ask(url, "/teams", key)["data"]
    if not teams:
        raise SmokeError("/teams has no team")
    path = f"/metrics/team/{teams[0]['id']}/velocity"
    if not ask(url, path, key)["data"]:
        raise SmokeError(f"{path} has no week")


def main() -> None:
    """Print that the stage works, or exit with 1 and the error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--minutes", type=float, default=45, help="timeout of the run, default 45")
    options = parser.parse_args()
    key = os.environ.get("SMOKE_API_KEY")
    if not key:
        sys.exit("SMOKE_API_KEY is not set: set it to an API key of the stage")
    try:
        run(outputs(f"dora-{options.stage}-functions")["MachineArn"], options.minutes)
        look(outputs(f"dora-{options.stage}-service")["Url"], key)
    except SmokeError as error:
        sys.exit(str(error))
    print(f"{options.stage} works")


if __name__ == "__main__":
    main()
