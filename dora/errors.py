"""Errors that a user can see, each with its exit code.

A message names the problem, the value and the remedy.
"""

from collections.abc import Sequence
from typing import ClassVar


class DoraError(Exception):
    """Base of all errors that are shown to the user without a traceback."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(DoraError):
    """Bad configuration or usage, with every fault; nothing was written (exit code 2)."""

    exit_code = 2

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


class TransformError(DoraError):
    """`dbt build` failed (exit code 3)."""

    exit_code = 3


class UnavailableError(DoraError):
    """The database or GitHub is unavailable (exit code 69, EX_UNAVAILABLE)."""

    exit_code = 69


class StoppedEarly(DoraError):
    """The rate limit or the time budget ended the run; finished work has landed (exit code 75)."""

    exit_code = 75
