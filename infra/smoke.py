"""Try a deployed stage out: a whole run, `/health`, and one team's velocity.

The API key is in SMOKE_API_KEY; AWS's credentials are where boto3 finds them.
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
    """What is deployed does not do what it should."""


def outputs(stack: str) -> dict[str, str]:
    """Return what a stack says of itself."""
    [found] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


def run(machine: str, minutes: float) -> None:
    """Run the state machine to its end."""
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
    """Return the JSON that the API answers with."""
    headers = {"Accept": "application/json"} | ({"X-API-Key": key} if key else {})
    request = urllib.request.Request(url.rstrip("/") + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SmokeError(f"{path} answers {error.code}") from None


def look(url: str, key: str) -> None:
    """Hold the API to having figures, and to giving them to nobody without a key."""
    if ask(url, "/health")["as_of"] is None:
        raise SmokeError("/health has no as_of: nothing is built")
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
    """Say what is wrong and exit with 1, or say that it works."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--minutes", type=float, default=45, help="for the run, default 45")
    options = parser.parse_args()
    key = os.environ.get("SMOKE_API_KEY")
    if not key:
        sys.exit("SMOKE_API_KEY is not set")
    try:
        run(outputs(f"dora-{options.stage}-functions")["MachineArn"], options.minutes)
        look(outputs(f"dora-{options.stage}-service")["Url"], key)
    except SmokeError as error:
        sys.exit(str(error))
    print(f"{options.stage} works")


if __name__ == "__main__":
    main()
