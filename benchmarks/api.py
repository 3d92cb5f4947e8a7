"""The time of an API response compared with its bare query, and a Lambda function's cold start.

`dora serve` and its callers are separate processes; the marts hold 50 teams and ten years. In the
same run, psycopg runs the query on one connection as the API's role.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString
from urllib.request import urlopen

from psycopg.rows import dict_row

from api.database import BUILD
from api.routes import compare, lead_time, pull_requests, teams, velocity
from benchmarks.callers import DAY
from benchmarks.transform import Bench, generate
from dora import embedded_postgres
from dora.api_keys import new_key
from dora.database import Database
from dora.roles import READER

SIZE = 100_000
CALLERS = (1, 8, 32)
SECONDS, QUERIES, COLD_STARTS = 3.0, 200, 5
MOST_BESIDE_QUERY_MS, MOST_P99_MS, MOST_COLD_SECONDS = 4.0, 60.0, 1.2
EVER = {"first": None, "last": None}
YEAR = {"first": "2025-01-01", "last": None}
COLD = """
import json, sys, time
began = time.perf_counter()
from api.handler import handler
imported = time.perf_counter()
answer = handler(json.loads(sys.argv[1]), None)
assert answer["statusCode"] == 200, answer
print(imported - began, time.perf_counter() - imported)
"""


@dataclass(frozen=True)
class Question:
    """A request of the API: its address and its query."""

    name: str
    address: str
    query: LiteralString
    parameters: Mapping[str, object]


_TEAM = {"team_id": "team-7"}
_FIVE = [f"team-{number}" for number in range(5)]
_ASKED = "&".join(f"team={team}" for team in _FIVE)
_PAGE = {"after_at": None, "after_id": None, "limit": 100}
TEAMS = Question("50 teams", "/teams", teams.QUERY, {"teams": None})
PATHS = (
    TEAMS,
    Question("ten years of weeks", "/metrics/team/team-7/velocity", velocity.QUERY, _TEAM | EVER),
    Question("its months", "/metrics/team/team-7/lead-time", lead_time.QUERY, _TEAM | EVER),
    Question(
        "100 pull requests",
        "/metrics/team/team-7/pull-requests",
        pull_requests.QUERY,
        _TEAM | EVER | _PAGE,
    ),
    Question(
        "a year of 5 teams",
        f"/metrics/compare?{_ASKED}&from=2025-01-01",
        compare.FLOW_QUERY,
        {"teams": _FIVE} | YEAR,
    ),
)


def measure(home: Path) -> None:
    """Print a line for each path and number of callers, then those of the cold start."""
    server = embedded_postgres.start(home)
    try:
        server.create_database("api")
        bench = Bench(Database(server.url("api")), home / "target")
        generate(bench.database, home, SIZE)
        bench.build()
        key, entry = new_key("bench")
        environment = {"DB_URL": bench.database.url, "API_KEYS": json.dumps([entry])}
        with _serving(environment, home) as port:
            # Not counted: this opens the connections.
            _call(port, key, PATHS[0].address, max(CALLERS))
            for path in PATHS:
                _measure_path(bench.database, port, key, path)
            _measure_known(port, key, PATHS[1])
        _measure_cold_start(environment, key, home)
    finally:
        embedded_postgres.stop(home)
    _print_size(home)


@contextmanager
def _serving(environment: Mapping[str, str], home: Path) -> Iterator[int]:
    """Run `dora serve` without its log; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "cli", "serve", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=home, env=_environment(environment), stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), **more}


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("dora serve did not start")


def _measure_path(database: Database, port: int, key: str, path: Question) -> None:
    bare = _percentile(_query(database, path), 50)
    print(f"api, {path.name}: query p50 {bare:.2f} ms")
    asked = {"asked for again": path.address}
    if path is not TEAMS:
        asked["new to the API"] = f"{path.address}{'&' if '?' in path.address else '?'}to={DAY}"
    for name, address in asked.items():
        for callers in CALLERS:
            taken = _call(port, key, address, callers)
            p50, p99 = _percentile(taken, 50), _percentile(taken, 99)
            print(
                f"  {name}, {callers} at once: p50 {p50:.2f} ms, p99 {p99:.2f} ms, "
                f"{len(taken) / SECONDS:,.0f} a second"
            )
            if callers == min(CALLERS):
                _say("p50 ms more than the query", p50 - bare, MOST_BESIDE_QUERY_MS)
            if callers == max(CALLERS):
                _say(f"p99 ms at {callers} callers", p99, MOST_P99_MS)


def _measure_known(port: int, key: str, path: Question) -> None:
    """Measure a response that the caller already has: 304, after one small query."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(_request(path.address, key, "Connection: close\r\n"))
        head = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")[0]
    lines = head.decode().split("\r\n")
    (tag,) = [line.partition(": ")[2] for line in lines if line.lower().startswith("etag:")]
    for callers in CALLERS:
        taken = _call(port, key, path.address, callers, 304, f"If-None-Match: {tag}\r\n")
        print(
            f"api, {path.name} that the caller has, {callers} at once: p50 "
            f"{_percentile(taken, 50):.2f} ms, p99 {_percentile(taken, 99):.2f} ms"
        )


def _query(database: Database, path: Question) -> list[float]:
    """Return the milliseconds of the bare query, including fetching its rows."""
    taken = []
    with database.connect(READER, autocommit=True) as connection:
        connection.prepare_threshold = None
        for _ in range(QUERIES):
            began = time.perf_counter()
            with connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute(BUILD + path.query, path.parameters).fetchall()
            taken.append((time.perf_counter() - began) * 1e3)
    return taken


def _request(address: str, key: str, more: str = "") -> bytes:
    return (
        f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n"
        f"Accept: application/json\r\nAccept-Encoding: gzip\r\n{more}\r\n"
    ).encode()


def _call(
    port: int, key: str, address: str, callers: int, status: int = 200, more: str = ""
) -> list[float]:
    asked = {
        "port": port,
        "request": _request(address, key, more).decode(),
        "status": status,
        "callers": callers,
        "seconds": SECONDS,
    }
    command = [sys.executable, "-m", "benchmarks.callers", json.dumps(asked)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    taken: list[float] = json.loads(done.stdout)
    return taken


def _measure_cold_start(environment: Mapping[str, str], key: str, home: Path) -> None:
    """Measure the import and the first request in a new process, as in Lambda."""
    context = {"http": {"method": "GET", "sourceIp": "192.0.2.1"}, "stage": "$default"}
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": PATHS[1].address,
        "rawQueryString": "",
        "headers": {"x-api-key": key, "host": "example.org"},
        "requestContext": context,
        "isBase64Encoded": False,
    }
    event["requestContext"]["http"]["path"] = PATHS[1].address
    command = [sys.executable, "-c", COLD, json.dumps(event)]
    in_lambda = _environment({**environment, "AWS_LAMBDA_FUNCTION_NAME": "api"})
    starts = []
    for _ in range(COLD_STARTS):
        done = subprocess.run(
            command, cwd=home, env=in_lambda, check=True, stdout=subprocess.PIPE, text=True
        )
        starts.append([float(part) for part in done.stdout.split()])
    imported, first = (statistics.median(part) for part in zip(*starts, strict=True))
    print(f"api, cold start: import {imported:.2f} s, first request {first:.2f} s")
    _say("seconds of both", imported + first, MOST_COLD_SECONDS)


def _print_size(home: Path) -> None:
    try:
        from infra import package
    except ImportError:
        print("api, package: this checkout has no `make package`")
        return
    path, size = package.make("api", home / "packages")
    print(f"api, {path.name}: {size.zipped / 1e6:.1f} MB, unzipped {size.unzipped / 1e6:.1f} MB")


def _percentile(taken: list[float], percent: int) -> float:
    return statistics.quantiles(taken, n=100, method="inclusive")[percent - 1]


def _say(name: str, value: float, aim: float) -> None:
    print(f"  {name}: {value:.2f}, aim {aim:g}{'' if value <= aim else ': MISSED'}")
