"""The errors a user can meet, each with its exit code: raised where known, shown once.

A message names the thing, the value and what to do about it.
"""

from collections.abc import Sequence
from typing import ClassVar


class DoraError(Exception):
    """Base of every error that is told to the user in plain words, without a traceback."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(DoraError):
    """Bad configuration or usage: every fault at once, nothing written (exit code 2)."""

    exit_code = 2

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


class TransformError(DoraError):
    """`dbt build` failed (exit code 3)."""

    exit_code = 3


class UnavailableError(DoraError):
    """The database or GitHub is out of reach (exit code 69, EX_UNAVAILABLE)."""

    exit_code = 69


class StoppedEarly(DoraError):
    """The rate limit or the time budget ended the run; what was finished has landed (75)."""

    exit_code = 75
