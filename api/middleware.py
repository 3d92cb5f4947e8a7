"""Request ids and timings, in the response headers and in the log."""

import logging
import re
import time
import uuid
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
# Request ids that are safe to log; those of API Gateway are Base64.
_SANE = re.compile(r"[A-Za-z0-9._:=/+-]{1,128}")


@dataclass(slots=True)
class Observation:
    """One request: its id, its start (`time.perf_counter`) and its seconds in the database."""

    request_id: str
    began: float = field(default_factory=time.perf_counter)
    database_seconds: float = 0.0
    reader: str | None = None
    status: int = 500

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began


_current: ContextVar[Observation | None] = ContextVar("observation", default=None)


class _Logger(logging.LoggerAdapter[logging.Logger]):
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        seen = _current.get()
        if seen is not None:
            kwargs["extra"] = {"request_id": seen.request_id} | dict(kwargs.get("extra") or {})
        return msg, kwargs


def get_logger(name: str) -> logging.LoggerAdapter[logging.Logger]:
    """Return a logger whose records carry the `request_id` of the current request."""
    return _Logger(logging.getLogger(name))


logger = get_logger(__name__)


@contextmanager
def in_database() -> Iterator[None]:
    """Add the duration of the block to the request's time in the database."""
    seen, began = _current.get(), time.perf_counter()
    try:
        yield
    finally:
        if seen is not None:
            seen.database_seconds += time.perf_counter() - began


def read_by(name: str) -> None:
    """Record the name of the request's API key."""
    if (seen := _current.get()) is not None:
        seen.reader = name


class Observed:
    """Adds the request id and `Server-Timing` to each response and logs one line per request.

    It is the outermost middleware, so that it covers unexpected errors too. It logs such an error
    and does not raise it again: the caller has received status 500.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = Observation(_request_id(scope))
        _current.set(seen)

        async def send_observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = seen.request_id
                headers["Server-Timing"] = (
                    f"db;dur={seen.database_seconds * 1e3:.2f}, total;dur={seen.seconds * 1e3:.2f}"
                )
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        except Exception:
            logger.exception("The request failed with an unexpected error")
        _log(scope, seen)


def _request_id(scope: Scope) -> str:
    """Return the caller's id if it is valid, else API Gateway's, else a new one."""
    given = Headers(scope=scope).get(HEADER, "")
    event = scope.get("aws.event", {}).get("requestContext", {}).get("requestId", "")
    sane = (each for each in (given, event) if _SANE.fullmatch(each))
    return next(sane, None) or uuid.uuid4().hex


def _log(scope: Scope, seen: Observation) -> None:
    # Encoded, because a caller may put line breaks into the path. The query is not logged.
    logger.info(
        "%s %s %d",
        scope["method"],
        quote(scope["path"]),
        seen.status,
        extra={
            "milliseconds": round(seen.seconds * 1e3, 2),
            "database_milliseconds": round(seen.database_seconds * 1e3, 2),
            "reader": seen.reader,
        },
    )
