"""Classifies GitHub's responses: an answer, a rate limit, a temporary failure or a refusal.

Limits: https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

import email.utils
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from ingest.github.errors import GitHubUnavailable, RateLimited, TokenRefused, Transient
from ingest.github.network import password_required

_RATE_LIMITS = {"RATE_LIMITED", "RATE_LIMIT"}
_SCOPES = "INSUFFICIENT_SCOPES"
REFUSED = {"FORBIDDEN", _SCOPES}
_TOO_BIG = {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"}
# Errors that a retry does not change.
_LASTING = {"NOT_FOUND", "FORBIDDEN", _SCOPES, "INVALID_CURSOR_ARGUMENTS", "ARGUMENT_LIMIT"}
NEEDED = "Metadata: read, Contents: read and Pull requests: read"
# Words of a rate limit in GitHub's message if status and headers do not indicate it.
_LIMIT_WORDS = ("rate limit", "abuse detection", "temporarily blocked")
# GitHub's limits last an hour; a header with more than a day is wrong.
LONGEST_WAIT = timedelta(days=1).total_seconds()


@dataclass(frozen=True)
class Answer:
    """The data and the errors of one request; `at` is when it was sent, by GitHub's clock.

    `asked` is the number of ids in the request, if it has ids; `cost` is in points.
    """

    data: dict[str, Any]
    errors: list[dict[str, Any]]
    at: datetime
    cost: int = 0
    asked: int = 0

    def may_be_better(self) -> bool:
        """Whether some of its errors are temporary."""
        return any(error.get("type") not in _LASTING for error in self.errors)

    def error_at(self, *path: str | int) -> dict[str, Any] | None:
        """Return the error with exactly this path, if there is one."""
        return next((error for error in self.errors if error.get("path") == list(path)), None)

    def error_about(self, *path: str | int) -> dict[str, Any] | None:
        """Return the first error that may concern the object at this path.

        Its path is the same, below or above; an error without a path concerns everything.
        """
        for error in self.errors:
            place = error.get("path") or []
            shared = min(len(place), len(path))
            if place[:shared] == list(path[:shared]):
                return error
        return None

    def refusal_below(self, *path: str | int) -> dict[str, Any] | None:
        """Return the first refusal of the object at this path, or of a part of it."""
        for error in self.errors:
            place = error.get("path") or []
            if error.get("type") in REFUSED and place[: len(path)] == list(path):
                return error
        return None


def refused_token(
    what: str, error: dict[str, Any], permission: str = NEEDED, kind: str = "repository"
) -> TokenRefused:
    """Return the error for an object that the token may not read, with a way to fix it."""
    message = str(error.get("message"))
    is_sso = "SAML" in message or (error.get("extensions") or {}).get("saml_failure")
    todo = (
        "authorise the token for the organisation's single sign-on"
        if is_sso
        else f"it needs the {kind} permission {permission}; for a GitHub App, also accept it "
        "in the installation"
    )
    return TokenRefused(f"GitHub does not let the token read {what} ({message}): {todo}")


@dataclass(frozen=True)
class Quota:
    """The hour's points in the headers `x-ratelimit-…`; `reset_at` is by our clock."""

    limit: int | None
    remaining: int | None
    reset_at: datetime | None


def read_answer(response: httpx.Response, now: datetime) -> Answer:
    """Return GitHub's answer; `now` is by our clock.

    Raises `RateLimited`, another `Transient`, `TokenRefused` or `GitHubUnavailable`.
    """
    refuse_bad_status(response, now)
    try:
        body = response.json()
    except ValueError as error:
        raise Transient("the answer is not valid JSON", kind="body") from error
    errors = body.get("errors") or [] if isinstance(body, dict) else None
    if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
        raise Transient("the answer has an unknown format", kind="body")
    types = {error.get("type") for error in errors}
    message = str(errors[0].get("message")) if errors else str(body.get("message", "no data"))
    if types & _RATE_LIMITS:
        raise RateLimited("rate limit", wait=_limit_wait(response.headers, now))
    if types & _TOO_BIG:
        raise Transient(message, kind="too_big", is_size=True)
    data = body.get("data")
    if _SCOPES in types and not data:
        raise TokenRefused(f"GitHub refused the token: {message}")
    if not isinstance(data, dict) or not data or not isinstance(data.get("nodes", []), list):
        raise Transient(message, kind="no_data", too_big=True)
    began = timedelta(seconds=round(response.elapsed.total_seconds()))
    at = (_date(response.headers) or now) - began
    return Answer(data, errors, at, cost=(data.get("rateLimit") or {}).get("cost", 0))


def refuse_bad_status(response: httpx.Response, now: datetime) -> None:
    """Raise the error for a status other than 2xx."""
    if response.is_success:
        return
    status, message = response.status_code, message_of(response)
    if status == httpx.codes.UNAUTHORIZED:
        raise TokenRefused(f"GitHub refused the token: {message}")
    if status == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
        raise password_required(str(response.url))
    if status in {httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS}:
        headers = response.headers
        limited = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
        is_said = any(words in message.lower() for words in _LIMIT_WORDS)
        if limited or status == httpx.codes.TOO_MANY_REQUESTS or is_said:
            raise RateLimited(f"rate limit: {message}", wait=_limit_wait(headers, now))
        raise refused_token("the requested data", {"message": message})
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        too_big = status in {httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT}
        kind = "timeout" if status == httpx.codes.REQUEST_TIMEOUT else "http_5xx"
        raise Transient(f"HTTP {status}", kind=kind, too_big=too_big)
    raise GitHubUnavailable(f"GitHub at {response.url} answered HTTP {status}: {message}")


def read_quota(headers: httpx.Headers, now: datetime, resource: str = "graphql") -> Quota | None:
    """Return the quota from the headers, if they have one for the resource (REST: `core`)."""
    if headers.get("x-ratelimit-resource", resource) != resource:
        return None
    reset = _number(headers, "x-ratelimit-reset")
    wait = None if reset is None else _until(reset, headers, now)
    return Quota(
        limit=_number(headers, "x-ratelimit-limit"),
        remaining=_number(headers, "x-ratelimit-remaining"),
        reset_at=None if wait is None else now + timedelta(seconds=wait),
    )


def _limit_wait(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds that GitHub asks to wait: Retry-After, or until the reset if no points remain."""
    after = _number(headers, "retry-after")
    if after is not None:
        return min(LONGEST_WAIT, float(after))
    reset = _number(headers, "x-ratelimit-reset")
    if headers.get("x-ratelimit-remaining") == "0" and reset is not None:
        return max(1.0, _until(reset, headers, now))
    return None


def _until(reset: int, headers: httpx.Headers, now: datetime) -> float:
    """Seconds until `reset` (seconds since the epoch), by GitHub's clock."""
    return min(LONGEST_WAIT, reset - (_date(headers) or now).timestamp())


def _number(headers: httpx.Headers, name: str) -> int | None:
    value = headers.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() else None


def message_of(response: httpx.Response) -> str:
    """Return GitHub's message in an error response."""
    try:
        return str(response.json()["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _date(headers: httpx.Headers) -> datetime | None:
    """Return GitHub's time from the `Date` header; coverage is measured by its clock, not ours."""
    try:
        return email.utils.parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
