"""Malicious requests; the tests of dates, cursors and keys contain more of them."""

import socket

import httpx
import pytest
from api_support import ALL_KEY, WEB_KEY, Client, settings_for

from api.app import create_app

FIGURES = ["velocity", "lead-time", "delivery", "deployments", "pull-requests", "reviews"]
TEXTS = {
    "or": "web' or '1'='1",
    "drop": "web'; drop table marts.dim_teams; --",
    "union": "' union select null, 'web', 'Web', null --",
    "sleep": "web\\'; select pg_sleep(5) --",
    "array": "{web,core}",
    "placeholder": "%(team_id)s",
    "parameter": "$1",
    "NUL": "\x00",
    "emoji": "\U0001f680",
    "path": "../../etc/passwd",
    "header": "web\r\nX-Injected: yes",
    "long": "x" * 5000,
}


def path_of(figure: str, team: str = "web") -> str:
    if figure == "compare":
        return f"/metrics/compare?team={team}"
    return f"/metrics/team/{team}/{figure}"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("parameter", ["from", "to", "team"])
def test_sql_in_compare_parameters_is_refused(client, parameter, text):
    asked = {"team": "web", "from": "2026-01-01", parameter: text}
    answer = client.get("/metrics/compare", params=asked)
    assert answer.status_code == (404 if parameter == "team" else 422)
    assert "x-injected" not in answer.headers
    assert len(client.get("/teams").json()["data"]) == 2


@pytest.mark.parametrize("header", ["If-None-Match", "X-Request-ID", "Accept", "X-API-Key"])
@pytest.mark.parametrize("text", [v for v in TEXTS.values() if v.isprintable() and v.isascii()])
def test_sql_in_a_header_is_ignored(client, header, text):
    answer = client.get("/teams", headers={header: text})
    assert answer.status_code == (401 if header == "X-API-Key" else 200)


@pytest.mark.parametrize("figure", [*FIGURES, "compare"])
@pytest.mark.parametrize("day", ["0001-01-01", "1582-10-10", "2024-02-29", "9999-12-31"])
def test_extreme_dates_are_accepted(client, figure, day):
    path = path_of(figure)
    for parameter in ("from", "to"):
        query = f"{'&' if '?' in path else '?'}{parameter}={day}"
        assert client.get(path + query).status_code == 200


@pytest.mark.parametrize("figure", [*FIGURES, "compare"])
@pytest.mark.parametrize(
    "team",
    ["core", "CORE", "co%72e", "core%20", "core%00", "web%2Fcore", "web,core", "*", "%2e%2e"],
)
def test_limited_key_reads_no_other_team_in_any_spelling(app, figure, team):
    answer = Client(app, key=WEB_KEY).get(path_of(figure, team))
    assert answer.status_code in {403, 404}
    assert "data" not in answer.json()


def test_a_second_team_in_the_query_is_refused(app):
    limited = Client(app, key=WEB_KEY)
    for figure in FIGURES:
        for more in ("team=core", "team_id=core", "teams=core"):
            assert limited.get(f"{path_of(figure)}?{more}").status_code == 422
    assert limited.get("/metrics/compare?team=web&team=core&team=web").status_code == 403


@pytest.fixture
def port(marts, serve):
    return int(serve(create_app(settings_for(marts.url))).rpartition(":")[2])


def said_to(port: int, request: bytes) -> bytes:
    """Send bytes to the server and return its response."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while data := connection.recv(65536):
                answer += data
        except ConnectionError:
            # The server closed the connection before it had read all bytes.
            pass
        return answer


OVERSIZED = {
    "a value": b"X-Junk: " + b"x" * 1_000_000 + b"\r\n",
    "a key": b"X-API-Key: " + b"x" * 1_000_000 + b"\r\n",
    "a name": b"x" * 1_000_000 + b": y\r\n",
    "many": b"".join(b"X-Junk-%d: y\r\n" % number for number in range(50_000)),
}


@pytest.mark.parametrize("lines", OVERSIZED.values(), ids=OVERSIZED)
def test_oversized_headers_are_refused_and_the_next_caller_is_answered(port, lines):
    answer = said_to(port, b"GET /teams HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    assert answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 431", b""}
    good = httpx.get(f"http://127.0.0.1:{port}/teams", headers={"X-API-Key": ALL_KEY})
    assert good.status_code == 200


@pytest.mark.parametrize("line", [b"GET /" + b"x" * 1_000_000, b"GET /teams HTTP/1.1\r\nNo colon"])
def test_malformed_request_is_refused(port, line):
    assert said_to(port, line + b" HTTP/1.1\r\n\r\n")[:12] in {b"HTTP/1.1 400", b""}
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


LARGE = 60_000


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/csv;q=0," * (LARGE // 13)},
        {"Accept": ";" * LARGE},
        {"If-None-Match": '"' * LARGE},
        {"If-None-Match": '"a",' * (LARGE // 4)},
        {"X-Request-ID": "a" * LARGE},
        {"X-Junk": "a" * LARGE},
    ],
    ids=["Accept", "semicolons", "quotes", "tags", "id", "junk"],
)
def test_header_of_the_largest_accepted_size_is_handled(client, headers):
    answer = client.get("/teams", headers=headers)
    assert answer.status_code == 200
    assert len(answer.headers["x-request-id"]) <= 128
