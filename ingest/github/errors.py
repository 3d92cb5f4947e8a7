"""Errors of requests to GitHub."""

from datetime import datetime

from dora.errors import ConfigurationError, StoppedEarly, UnavailableError


class TokenRefused(ConfigurationError):
    """GitHub rejects the token (401), or refuses it everything (403)."""


class GitHubUnavailable(UnavailableError):
    """GitHub gave no usable answer after every retry."""


class Unanswerable(GitHubUnavailable):
    """GitHub is available but did not answer this request, even at the smallest sizes."""


class Refused(Exception):
    """GitHub does not let the token read this one resource; the run continues with the rest."""


class RateLimitReached(StoppedEarly):
    """The hour's points are spent and the budget does not allow the wait."""

    def __init__(self, resume_at: datetime) -> None:
        self.resume_at = resume_at
        super().__init__(
            "GitHub's rate limit is reached; run again after "
            f"{resume_at:%Y-%m-%d %H:%MZ} to continue"
        )


class BudgetSpent(StoppedEarly):
    """The run's time budget is spent."""

    def __init__(self) -> None:
        super().__init__("the time budget is spent; run again to continue")


class Transient(Exception):
    """One request failed temporarily.

    `kind` names the error in the metrics, `wait` is how many seconds GitHub asks to wait, `too_big`
    whether a smaller request may succeed. If `is_size`, GitHub named the size as the cause.
    """

    def __init__(
        self,
        reason: str,
        *,
        kind: str,
        wait: float | None = None,
        too_big: bool = False,
        is_size: bool = False,
    ) -> None:
        self.kind = kind
        self.wait = wait
        self.too_big = too_big or is_size
        self.is_size = is_size
        super().__init__(reason)


class RateLimited(Transient):
    """A primary or secondary rate limit; `wait` is None if GitHub does not say how long."""

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        super().__init__(reason, kind="rate_limit", wait=wait)
