"""What can go wrong between us and GitHub."""

from datetime import datetime

from dora.errors import ConfigurationError, StoppedEarly, UnavailableError


class TokenRefused(ConfigurationError):
    """GitHub does not take the token (401), or not for anything (403)."""


class GitHubAway(UnavailableError):
    """GitHub did not answer usefully, after every retry."""


class Unanswerable(GitHubAway):
    """GitHub is there but did not answer this question, however small it was asked."""


class Refused(Exception):
    """GitHub does not let the token read this one thing; the rest goes on."""


class RateLimitReached(StoppedEarly):
    """The points of the hour are spent and the run may not wait so long."""

    def __init__(self, resume_at: datetime) -> None:
        self.resume_at = resume_at
        super().__init__(
            f"GitHub's rate limit is reached; run again after {resume_at:%Y-%m-%d %H:%MZ} to go on"
        )


class BudgetSpent(StoppedEarly):
    """The time given to the run is over."""

    def __init__(self) -> None:
        super().__init__("the time budget is spent; run again to go on")


class Transient(Exception):
    """One request failed in a way that may pass.

    `kind` is what it is counted as, `wait` the seconds that GitHub asks for, `too_big` whether a
    smaller question may be answered. With `is_size` GitHub says that the size is the fault.
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
    """A primary or secondary rate limit; `wait` is None where GitHub does not say how long."""

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        super().__init__(reason, kind="rate_limit", wait=wait)
