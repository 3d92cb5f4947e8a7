"""Who is told how a run gets on."""

import logging
from typing import Protocol

from dora.plurals import counted

logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """A progress bar, a log, a test."""

    def planned(self, repositories: int, behind: int, pull_requests: int) -> None:
        """Tell how many repositories there are, how many have changed, and how much is new."""

    def landed(self, pull_requests: int) -> None:
        """Tell that so many more pull requests are in the database."""


class LogReporter:
    """A line in the log for each."""

    def planned(self, repositories: int, behind: int, pull_requests: int) -> None:
        """Log the plan."""
        logger.info(
            "repositories that have changed: %d of %d; pull requests in new ones: %d",
            behind,
            repositories,
            pull_requests,
        )

    def landed(self, pull_requests: int) -> None:
        """Log a landing."""
        logger.info("%s landed", counted(pull_requests, "pull request"))
