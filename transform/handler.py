"""The Lambda function that builds the marts. Whatever it writes is under /tmp."""

from pathlib import Path
from typing import Any

from dora.database import open_database
from dora.dbt import LOCK, run
from dora.settings import load_settings

HOME = Path("/tmp/dora")
# JSON lines on standard output, which is where CloudWatch takes them from; no file beside them.
LOGGING = ("--log-format", "json", "--no-use-colors", "--log-level-file", "none")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Run `dbt build`, after another one that is under way; raise `TransformError` if it fails."""
    database = open_database(load_settings())
    with database.connect(autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [LOCK])
        run(database, [*LOGGING, "build"], HOME)
    return {"status": "complete"}
