"""`dora retry`: try permanent failures again."""

from datetime import UTC, datetime

from cli.console import set_up_logging, tell
from cli.db import prepare
from dora.plurals import counted
from dora.settings import load_settings


def retry() -> None:
    """Try permanent failures again in the next ingest."""
    from ingest.dead_letters import ask_for_retry

    settings = load_settings()
    set_up_logging(settings.log_level)
    asked = ask_for_retry(prepare(settings), settings.dlq_url, datetime.now(UTC))
    tell(f"{counted(asked, 'failure')} will be tried again by the next ingest")
