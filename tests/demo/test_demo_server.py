import contextlib
import time

import httpx
import pytest
from asking import ask, data

from demo.github import GitHub
from demo.server import Fault, Server, clock_from, serve

POINT = "query Point { rateLimit { cost limit remaining used resetAt nodeCount } }"


@pytest.mark.parametrize("authorization", [None, "bearer wrong", "basic secret-of-the-tests", ""])
def test_a_request_without_the_token_is_answered_with_401(
    authorization: str | None, server: Server
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    response = httpx.post(f"{server.url}/graphql", json={"query": POINT}, headers=headers)
    assert response.status_code == 401
    assert response.json()["message"] == "Bad credentials"


@pytest.mark.parametrize("scheme", ["bearer", "Bearer", "token"])
@pytest.mark.parametrize("path", ["/graphql", "/api/graphql"])
def test_both_paths_accept_both_authorization_schemes(
    scheme: str, path: str, server: Server
) -> None:
    headers = {"authorization": f"{scheme} secret-of-the-tests"}
    response = httpx.post(f"{server.url}{path}", json={"query": POINT}, headers=headers)
    assert response.json()["data"]["rateLimit"]["cost"] == 1


def test_a_rotated_token_replaces_the_old_one(server: Server, client: httpx.Client) -> None:
    server.tokens = {"new"}
    assert client.post("/graphql", json={"query": POINT}).status_code == 401
    fresh = {"authorization": "bearer new"}
    assert client.post("/graphql", json={"query": POINT}, headers=fresh).status_code == 200


def test_headers_and_rate_limit_report_the_remaining_points(client: httpx.Client) -> None:
    client.post("/graphql", json={"query": POINT})
    response = client.post("/graphql", json={"query": POINT})
    shown = response.json()["data"]["rateLimit"]
    headers = response.headers
    assert (shown["cost"], shown["used"], shown["remaining"], shown["limit"]) == (1, 2, 4998, 5000)
    assert headers["x-ratelimit-remaining"] == "4998"
    assert headers["x-ratelimit-used"] == "2"
    assert headers["x-ratelimit-limit"] == "5000"
    assert headers["x-ratelimit-resource"] == "graphql"
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(headers["x-ratelimit-reset"])))
    assert shown["resetAt"] == reset


def test_without_points_requests_are_rate_limited_until_the_hour_ends(
    github: GitHub,
) -> None:
    now = 1_800_000_000.0
    with serve(github, token="t", budget=2, clock=lambda: now) as server:
        client = httpx.Client(base_url=server.url, headers={"authorization": "bearer t"})
        with client:
            assert [ask(client, POINT).keys() for _ in range(2)] == [{"data"}, {"data"}]
            response = client.post("/graphql", json={"query": POINT})
            assert response.status_code == 200
            assert response.json()["errors"][0]["type"] == "RATE_LIMITED"
            assert "data" not in response.json()
            assert response.headers["x-ratelimit-remaining"] == "0"
            assert response.headers["x-ratelimit-reset"] == "1800003600"
            now += 3599
            assert "errors" in ask(client, POINT)
            now += 1
            assert data(client, POINT)["rateLimit"]["remaining"] == 1
    assert [request.cost for request in server.requests] == [1, 1, 0, 0, 1]


def test_the_date_header_uses_the_servers_clock(github: GitHub) -> None:
    with serve(github, token="t", clock=clock_from("2026-06-26T16:00:00Z")) as server:
        response = httpx.post(f"{server.url}/graphql", json={})
    assert response.headers["date"].startswith("Fri, 26 Jun 2026 16:00:")


def test_the_log_has_operation_status_cost_and_size(server: Server, client: httpx.Client) -> None:
    response = client.post("/graphql", json={"query": POINT, "variables": {"x": 1}})
    (request,) = server.requests
    assert (request.operation, request.variables) == ("Point", {"x": 1})
    assert (request.status, request.cost) == (200, 1)
    assert request.bytes == len(response.content)


def test_a_broken_query_is_an_error_without_data(client: httpx.Client) -> None:
    for query in ("{ nothing }", "{ rateLimit", "query A { a } query B { b }"):
        body = ask(client, query)
        assert body.keys() == {"errors"}
    assert client.post("/graphql", content=b"{").status_code == 400
    assert client.post("/elsewhere", json={}).status_code == 404
    assert "errors" in client.post("/graphql", json={"query": 1}).json()


def test_a_variable_of_the_wrong_type_is_refused(client: httpx.Client) -> None:
    query = """query($n: Int!) { repository(owner: "acme", name: "api") {
      pullRequests(first: $n) { nodes { id } } } }"""
    assert "Variable '$n'" in ask(client, query, n="fifty")["errors"][0]["message"]


def test_the_store_can_be_edited_before_a_request(
    github: GitHub, server: Server, client: httpx.Client
) -> None:
    def rename(operation: str | None, variables: object) -> None:
        assert (operation, variables) == ("Title", {"number": 1})
        github.edit(github.pull_request("acme/api", 10), "2026-01-06T00:00:00Z", title="new")

    server.before_request = rename
    query = """query Title($number: Int!) { repository(owner: "acme", name: "api") {
      pullRequests(first: $number, orderBy: {field: UPDATED_AT, direction: DESC}) {
        nodes { title } } } }"""
    found = data(client, query, number=1)["repository"]["pullRequests"]["nodes"]
    assert found == [{"title": "new"}]


@pytest.fixture
def faulty(server: Server) -> list[Fault]:
    """Faults for the next requests, one each."""
    faults: list[Fault] = []
    server.before_request = lambda _operation, _variables: faults.pop(0) if faults else None
    return faults


def test_a_fault_replaces_the_response_and_costs_no_points(
    server: Server, client: httpx.Client, faulty: list[Fault]
) -> None:
    faulty += [
        Fault(502, "<html>Unicorn!</html>", {"content-type": "text/html"}),
        Fault(403, {"message": "secondary rate limit"}, {"retry-after": "60"}),
    ]
    bad_gateway = client.post("/graphql", json={"query": POINT})
    assert bad_gateway.status_code == 502
    assert bad_gateway.text == "<html>Unicorn!</html>"
    assert bad_gateway.headers["content-type"] == "text/html"
    limited = client.post("/graphql", json={"query": POINT})
    assert (limited.status_code, limited.headers["retry-after"]) == (403, "60")
    assert limited.json() == {"message": "secondary rate limit"}
    assert data(client, POINT)["rateLimit"]["used"] == 1
    assert [request.status for request in server.requests] == [502, 403, 200]


def test_after_a_reset_or_a_cut_response_the_next_request_succeeds(
    server: Server, client: httpx.Client, faulty: list[Fault]
) -> None:
    faulty += [Fault(reset=True), Fault(cut=10)]
    with pytest.raises(httpx.NetworkError):
        client.post("/graphql", json={"query": POINT})
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/graphql", json={"query": POINT})
    assert data(client, POINT)["rateLimit"]["cost"] == 1
    assert [request.status for request in server.requests] == [0, 200, 200]


def test_a_response_can_be_rewritten_and_delayed(
    server: Server, client: httpx.Client, faulty: list[Fault]
) -> None:
    faulty.append(Fault(rewrite=lambda body: body | {"errors": [{"type": "X"}]}, delay=0.15))
    body = ask(client, POINT)
    assert body["errors"] == [{"type": "X"}]
    assert body["data"]["rateLimit"]["cost"] == 1
    assert server.requests[0].seconds >= 0.15


def test_a_stopped_server_closes_its_connections(github: GitHub) -> None:
    with serve(github, token="t") as server:
        client = httpx.Client(base_url=server.url, headers={"authorization": "bearer t"})
        assert data(client, POINT)["rateLimit"]["cost"] == 1
    with contextlib.closing(client), pytest.raises(httpx.TransportError):
        client.post("/graphql", json={"query": POINT})
