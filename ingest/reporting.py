"""Reports the progress of a run."""

import logging
from typing import Protocol

from dora.plurals import counted

logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """Receives the progress of a run: a progress bar, a log or a test."""

    def planned(self, repositories: int, behind: int, pull_requests: int) -> None:
        """Report the number of repositories, of changed ones, and of pull requests in new ones."""

    def landed(self, pull_requests: int) -> None:
        """Report how many more pull requests are in the database."""


class LogReporter:
    """Writes one log line per report."""

    def planned(self, repositories: int, behind: int, pull_requests: int) -> None:
        """Log the plan."""
        logger.info(
            "repositories that have changed: %d of %d; pull requests in new ones: %d",
            behind,
            repositories,
            pull_requests,
        )

    def landed(self, pull_requests: int) -> None:
        """Log the number of loaded pull requests."""
        logger.info("%s landed", counted(pull_requests, "pull request"))
