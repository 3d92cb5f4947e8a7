"""The Lambda function that builds the marts. It writes files only to /tmp."""

from pathlib import Path
from typing import Any

from dora.database import open_database
from dora.settings import load_settings
from transform.dbt_runner import build_marts

HOME = Path("/tmp/dora")
# JSON lines on standard output, which CloudWatch collects; no log file.
LOGGING = ("--log-format", "json", "--no-use-colors", "--log-level-file", "none")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Build the marts, after any running build; raise `TransformError` if that fails."""
    build_marts(open_database(load_settings()), HOME, LOGGING)
    return {"status": "complete"}
