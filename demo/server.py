"""The demo's GitHub over HTTP: token check, points, faults and a log of requests.

`/graphql` is the API's path on github.com, `/api/graphql` that of GitHub Enterprise Server (whose
REST path is `/api/v3`). Each connection has a thread; connections are kept alive.
"""

import contextlib
import itertools
import json
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from demo import schema
from demo.github import GitHub
from demo.github_app import Installation
from demo.model import instant
from demo.query_cost import operation_of
from demo.rate_limit import Points
from demo.rest_api import answer_get
from demo.schema import Answer

PATHS = ("/graphql", "/api/graphql")
TOKEN = "demo-token"
BAD_CREDENTIALS: Answer = {
    "message": "Bad credentials",
    "documentation_url": "https://docs.github.com/graphql",
    "status": "401",
}


@dataclass(frozen=True)
class Fault:
    """A fault of one request.

    With `status`, the fault replaces the real response, and the query is neither executed nor
    charged. Without it, the real response is passed through `rewrite`. Both can be delayed
    (`delay`, seconds), end after `cut` bytes of the body, or be a connection reset (`reset`).
    """

    status: int | None = None
    body: bytes | str | Answer = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    rewrite: Callable[[Answer], Answer] | None = None
    delay: float = 0.0
    cut: int | None = None
    reset: bool = False


@dataclass(frozen=True)
class Request:
    """One request and its response, logged before the response is sent.

    `bytes` is the length of the response's body, `seconds` the time to create it. `status` is 0 if
    the connection was reset. `cost` is in points, 0 if none were charged.
    """

    operation: str | None
    variables: Mapping[str, Any]
    status: int
    cost: int
    bytes: int
    seconds: float


def clock_from(start: datetime | str) -> Callable[[], float]:
    """Return a clock that starts at that instant now."""
    shift = datetime.fromisoformat(instant(start)).timestamp() - time.time()
    return lambda: time.time() + shift


BeforeRequest = Callable[[str | None, Mapping[str, Any]], Fault | None]


class Server:
    """A running server. Its public attributes may be changed at any time.

    `before_request(operation, variables)` runs before each authorised request: it may edit the
    store and return a `Fault`. Pages and lists of ids longer than `longest_page` exceed the
    resource limits. `clock` returns seconds since the epoch, for the hourly points and the `Date`
    header. `installations` are GitHub App installations by the path of their tokens. With `tls` the
    server uses HTTPS.
    """

    def __init__(
        self,
        github: GitHub,
        token: str = TOKEN,
        budget: int = 5000,
        clock: Callable[[], float] = time.time,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.github = github
        self.tokens = {token}
        self.points = Points(budget, clock)
        self.before_request: BeforeRequest | None = None
        self.longest_page: int | None = None
        self.requests: list[Request] = []
        self.installations: dict[str, Installation] = {}
        self._http = _HttpServer(("127.0.0.1", port), _Handler)
        self._http.app = self
        self._scheme = "https" if tls else "http"
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """The value for GITHUB_API_URL."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and close all connections."""
        self._http.shutdown()
        self._http.server_close()
        self._http.disconnect()
        self._thread.join()


@contextlib.contextmanager
def serve(github: GitHub, **options: Any) -> Iterator[Server]:
    """Yield a running `Server` with these options; stop it after the block."""
    server = Server(github, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    app: Server

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connected: set[socket.socket] = set()
        self.numbers = itertools.count(1)

    def disconnect(self) -> None:
        for connection in list(self.connected):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not report a client that closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "GitHub.com"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _HttpServer

    def setup(self) -> None:
        super().setup()
        self.server.connected.add(self.connection)

    def finish(self) -> None:
        self.server.connected.discard(self.connection)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the `Date` header by the server's clock."""
        return super().date_time_string(
            self.server.app.points.clock() if timestamp is None else timestamp
        )

    def do_POST(self) -> None:
        self.started = time.perf_counter()
        app = self.server.app
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if installation := app.installations.get(self.path.removeprefix("/api/v3")):
            self._give_token(installation)
            return
        if self.path not in PATHS:
            self._send({}, 404, {"message": "Not Found", "status": "404"})
            return
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "token") or token not in app.tokens:
            self._send({}, 401, BAD_CREDENTIALS)
            return
        try:
            payload = json.loads(raw)
        except ValueError:
            payload = None
        if isinstance(payload, dict):
            self._respond(payload)
        else:
            self._send({}, 400, {"message": "Problems parsing JSON", "status": "400"})

    def do_GET(self) -> None:
        self.started = time.perf_counter()
        app = self.server.app
        variables = {"path": self.path}
        payload = {"operationName": "GET", "variables": variables}
        _, _, token = self.headers.get("authorization", "").partition(" ")
        if token not in app.tokens:
            self._send(payload, 401, BAD_CREDENTIALS)
            return
        fault = app.before_request("GET", variables) if app.before_request else None
        fault = fault or Fault()
        if fault.reset:
            self._reset(payload)
            return
        status, body = answer_get(app.github, self.path)
        shown: Any = body
        if fault.status is not None:
            status, shown = fault.status, fault.body
        self._send(
            payload,
            status,
            shown,
            headers={"x-ratelimit-resource": "core", **fault.headers},
            cut=fault.cut,
        )

    def _give_token(self, installation: Installation) -> None:
        status, body = installation.answer(self.headers.get("authorization", ""))
        if status == HTTPStatus.CREATED:
            self.server.app.tokens.add(body["token"])
        self._send({}, status, body)

    def _respond(self, payload: Mapping[str, Any]) -> None:
        app = self.server.app
        before = app.before_request
        fault = before(_name(payload), payload.get("variables") or {}) if before else None
        fault = fault or Fault()
        if fault.delay:
            time.sleep(fault.delay)
        if fault.reset:
            self._reset(payload)
            return
        status, cost = fault.status or 200, 0
        body: Any = fault.body
        if fault.status is None:
            body, cost = schema.answer(app.github, payload, app.points, app.longest_page)
            if fault.rewrite is not None:
                body = fault.rewrite(body)
        self._send(payload, status, body, cost, fault.headers, fault.cut)

    def _send(
        self,
        payload: Mapping[str, Any],
        status: int,
        body: bytes | str | Answer,
        cost: int = 0,
        headers: Mapping[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        """Log the request, then send the response or the first `cut` bytes of its body."""
        text = json.dumps(body, ensure_ascii=False) if isinstance(body, dict) else body
        data = text.encode("utf-8") if isinstance(text, str) else text
        self._log(payload, status, cost, len(data))
        self.send_response(status)
        shown = {
            "content-type": "application/json; charset=utf-8",
            "x-github-request-id": f"DE40:{next(self.server.numbers):06X}",
        } | self.server.app.points.headers()
        for name, value in (shown | dict(headers or {})).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if cut is None else data[:cut])
        self.wfile.flush()
        if cut is not None:
            self.close_connection = True

    def _reset(self, payload: Mapping[str, Any]) -> None:
        """Close with RST, discarding unsent data."""
        self._log(payload, 0, 0, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _log(self, payload: Mapping[str, Any], status: int, cost: int, size: int) -> None:
        seconds = time.perf_counter() - self.started
        variables = payload.get("variables") or {}
        request = Request(_name(payload), variables, status, cost, size, seconds)
        self.server.app.requests.append(request)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: `Server.requests` is the log."""


def _name(payload: Mapping[str, Any]) -> str | None:
    """Return the operation's name, given or read from the document."""
    name = payload.get("operationName")
    if isinstance(name, str):
        return name
    document = schema.prepare(payload["query"]) if isinstance(payload.get("query"), str) else ()
    operation = None if isinstance(document, tuple) else operation_of(document, None)
    return operation.name.value if operation is not None and operation.name else None
