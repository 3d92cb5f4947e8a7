import asyncio
import ipaddress
import json
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from demo.github import GitHub as DemoGitHub
from demo.organisation import generate
from demo.rate_limit import Points
from demo.server import Fault, Server, serve
from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.clock import Budget, SystemClock
from ingest.config import read_config
from ingest.github.client import ATTEMPTS, GitHub
from ingest.github.credentials import TokenAuth
from ingest.github.errors import (
    BudgetSpent,
    GitHubUnavailable,
    RateLimitReached,
    TokenRefused,
    Unanswerable,
)
from ingest.github.responses import Answer
from tests.ingest.simulated import SimulatedClock

TOKEN = "a-secret-token"


@pytest.fixture(scope="module")
def github_server() -> Iterator[Server]:
    with serve(DemoGitHub.from_organisation(generate(3, 200)), token=TOKEN) as server:
        yield server


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def server(github_server: Server, clock: SimulatedClock) -> Iterator[Server]:
    github_server.requests.clear()
    github_server.points = Points(5000, lambda: clock.now().timestamp())
    yield github_server
    github_server.before_request = None


def ask(
    server: Server,
    clock: SimulatedClock,
    *,
    seconds: float | None = None,
    token: str = TOKEN,
    reserve: int = 0,
) -> tuple[Answer, GitHub]:
    ids = [repository.id for repository in server.github.repositories()][:1]

    async def one() -> tuple[Answer, GitHub]:
        budget = Budget(clock, seconds)
        auth = TokenAuth(SecretStr(token))
        async with GitHub(server.url, auth, clock, budget, reserve=reserve) as github:
            return await github.query("probe", {"ids": ids}), github

    return asyncio.run(one())


def failing(*faults: Fault) -> Any:
    """Return each fault once, then the real answers."""
    queue = list(faults)
    return lambda operation, variables: queue.pop(0) if queue else None


def body(**content: Any) -> str:
    return json.dumps(content)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=500, body="<html>"), id="500"),
        pytest.param(Fault(status=502, body="<html>"), id="502"),
        pytest.param(Fault(status=503, body=""), id="503"),
        pytest.param(Fault(status=504, body=""), id="504"),
        pytest.param(Fault(status=200, body="<html>not JSON</html>"), id="HTML"),
        pytest.param(Fault(status=200, body="[]"), id="no object"),
        pytest.param(Fault(cut=40), id="cut in mid-body"),
        pytest.param(Fault(reset=True), id="reset"),
        pytest.param(
            Fault(status=200, body=body(errors=[{"message": "Something went wrong"}])),
            id="no data",
        ),
    ],
)
def test_what_may_pass_is_asked_again(server: Server, clock: SimulatedClock, fault: Fault) -> None:
    server.before_request = failing(fault, fault)
    answer, github = ask(server, clock)
    assert answer.data["nodes"][0]["__typename"] == "Repository"
    assert github.usage.requests == 3
    assert len(clock.waits) == 2


def test_what_does_not_pass_ends_in_one_line(server: Server, clock: SimulatedClock) -> None:
    server.before_request = lambda operation, variables: Fault(status=503, body="")
    with pytest.raises(
        GitHubUnavailable, match=f"probe after {ATTEMPTS} attempts: HTTP 503"
    ) as caught:
        ask(server, clock)
    assert caught.value.exit_code == 69
    # One more request checks if GitHub answers at all.
    assert len(server.requests) == ATTEMPTS + 1


def test_nobody_listening_is_github_away(server: Server, clock: SimulatedClock) -> None:
    async def one() -> None:
        github = GitHub("http://127.0.0.1:9", TokenAuth(SecretStr(TOKEN)), clock, Budget(clock))
        async with github:
            await github.query("probe", {"ids": []})

    with pytest.raises(GitHubUnavailable, match=r"127\.0\.0\.1:9"):
        asyncio.run(one())


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        pytest.param(Fault(status=403, headers={"Retry-After": "7"}, body="{}"), 7, id="403"),
        pytest.param(Fault(status=429, headers={"Retry-After": "9"}, body="{}"), 9, id="429"),
        pytest.param(
            Fault(status=403, body=body(message="You have exceeded a secondary rate limit")),
            60,
            id="secondary without a time",
        ),
        pytest.param(
            Fault(status=200, body=body(errors=[{"type": "RATE_LIMIT", "message": "x"}])),
            60,
            id="in an answer that says 200",
        ),
    ],
)
def test_a_limit_is_waited_out(
    server: Server, clock: SimulatedClock, fault: Fault, wait: float
) -> None:
    server.before_request = failing(fault)
    ask(server, clock)
    assert clock.waits == [wait]


def test_a_secondary_limit_that_stays_is_waited_out_for_longer_and_longer(
    server: Server, clock: SimulatedClock
) -> None:
    fault = Fault(status=403, body=body(message="You have exceeded a secondary rate limit"))
    server.before_request = failing(fault, fault, fault)
    ask(server, clock)
    assert clock.waits == [60, 120, 240]


def test_a_primary_limit_is_waited_out_until_the_reset(
    server: Server, clock: SimulatedClock
) -> None:
    reset = clock.now() + timedelta(minutes=20)
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(reset.timestamp()))}
    limited = body(errors=[{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}])
    server.before_request = failing(Fault(status=200, headers=headers, body=limited))
    ask(server, clock)
    assert clock.waits == [1200]


def test_what_is_reserved_for_others_is_left_to_them(server: Server, clock: SimulatedClock) -> None:
    server.points.limit, server.points.used = 106, 0
    asked_at = []

    async def ask_often() -> None:
        auth = TokenAuth(SecretStr(TOKEN))
        async with GitHub(server.url, auth, clock, Budget(clock), reserve=100) as github:
            for _ in range(6):
                await github.query("probe", {"ids": []})
                asked_at.append((clock.now() - datetime(2026, 6, 30, tzinfo=UTC)).seconds)

    asyncio.run(ask_often())
    # Four points are kept for requests in flight.
    assert asked_at == [0, 0, 0, 3600, 3600, 3600]


def test_a_limit_met_by_one_stream_holds_the_other_back(server: Server) -> None:
    began: list[float] = []
    faults = [Fault(status=403, headers={"Retry-After": "1"}, body="{}"), Fault(delay=0.2)]

    def note(operation: str | None, variables: Any) -> Fault | None:
        began.append(time.monotonic())
        return faults.pop(0) if faults else None

    async def three() -> None:
        clock = SystemClock()
        async with GitHub(server.url, TokenAuth(SecretStr(TOKEN)), clock, Budget(clock)) as github:
            await asyncio.gather(*[github.query("probe", {"ids": []}) for _ in range(3)])

    server.before_request = note
    asyncio.run(three())
    assert len(began) == 4
    assert min(began[2:]) - began[0] >= 1


def test_a_limit_longer_than_the_budget_ends_the_run_and_says_until_when(
    server: Server, clock: SimulatedClock
) -> None:
    server.before_request = failing(Fault(status=429, headers={"Retry-After": "900"}, body="{}"))
    with pytest.raises(RateLimitReached) as caught:
        ask(server, clock, seconds=600)
    assert caught.value.resume_at == datetime(2026, 6, 30, 0, 15, tzinfo=UTC)
    assert caught.value.exit_code == 75
    assert clock.waits == []


def test_a_spent_budget_asks_nothing(server: Server, clock: SimulatedClock) -> None:
    with pytest.raises(BudgetSpent):
        ask(server, clock, seconds=0)
    assert server.requests == []


def test_a_refused_token_is_said_without_showing_it(server: Server, clock: SimulatedClock) -> None:
    with pytest.raises(TokenRefused, match="Bad credentials") as caught:
        ask(server, clock, token="another-secret")
    assert caught.value.exit_code == 2
    assert "another-secret" not in str(caught.value)
    assert len(server.requests) == 1


TOO_BIG = Fault(
    status=200,
    body=body(data=None, errors=[{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "x"}]),
)
TIMED_OUT = Fault(status=502, body="")


def walk_often(server: Server, clock: SimulatedClock, times: int, *faults: Fault) -> list[int]:
    """Request a page `times` times, with these faults first; return the requested sizes."""
    ids = [repository.id for repository in server.github.repositories()][:1]
    server.before_request = failing(*faults)

    async def often() -> None:
        auth = TokenAuth(SecretStr(TOKEN))
        async with GitHub(server.url, auth, clock, Budget(clock)) as github:
            for _ in range(times):
                await github.query("walk", {"ids": ids, "after": None})

    asyncio.run(often())
    return [request.variables["first"] for request in server.requests]


def test_timeout_halves_every_size_and_the_next_answers_raise_it_again(
    server: Server, clock: SimulatedClock
) -> None:
    sizes = walk_often(server, clock, 8, TIMED_OUT, TIMED_OUT)
    assert sizes == [62, 50, 25, 25, 25, 25, 50, 50, 50, 50]
    assert all(
        request.variables[name] == min(40, request.variables["first"])
        for request in server.requests
        for name in ("reviews", "labels")
    )


def test_size_refused_for_its_resources_is_not_asked_for_again_and_nobody_waits(
    server: Server, clock: SimulatedClock
) -> None:
    sizes = walk_often(server, clock, 20, TOO_BIG, TOO_BIG)
    assert sizes == [62, 50, *[25] * 20]
    assert clock.waits == []


def test_question_refused_at_the_smallest_sizes_leaves_the_sizes_of_others_alone(
    server: Server, clock: SimulatedClock
) -> None:
    refused = {"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "x"}]}
    ids = [repository.id for repository in server.github.repositories()][:1]

    async def two() -> None:
        auth = TokenAuth(SecretStr(TOKEN))
        async with GitHub(server.url, auth, clock, Budget(clock)) as github:
            server.before_request = lambda operation, variables: (
                Fault(status=200, body=refused) if operation == "Walk" else None
            )
            with pytest.raises(Unanswerable, match="did not answer walk even at the smallest"):
                await github.query("walk", {"ids": ids, "after": None})
            server.before_request = None
            await github.query("walk", {"ids": ids, "after": None})

    asyncio.run(two())
    asked = [request.variables.get("first") for request in server.requests]
    assert asked == [62, 50, 25, 12, 6, 3, 1, None, 62]
    assert clock.waits == []


def test_points_and_bytes_are_counted(server: Server, clock: SimulatedClock) -> None:
    _, github = ask(server, clock)
    [request] = server.requests
    assert (github.usage.points, github.usage.response_bytes) == (request.cost, request.bytes)


@pytest.mark.parametrize(
    ("url", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://github.acme.example/api/v3", "https://github.acme.example/api/graphql"),
    ],
)
def test_the_graphql_address_follows_from_the_rest_address(
    clock: SimulatedClock, url: str, graphql: str
) -> None:
    assert GitHub(url, TokenAuth(SecretStr(TOKEN)), clock, Budget(clock)).graphql_url == graphql


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context with a certificate for 127.0.0.1, and the bundle that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "github.acme.example")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, private = tmp_path / "ca.pem", tmp_path / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, private)
    return context, bundle


def ask_over_tls(url: str, clock: SimulatedClock, ca_bundle: Path | None) -> Answer:
    settings = Settings(
        _env_file=None,
        github_pat=SecretStr(TOKEN),
        github_api_url=url,
        github_ca_bundle=ca_bundle,
        repositories="acme/web",
        team_config_json='[{"id": "a", "name": "A", "members": []}]',
    )
    config = read_config(settings)

    async def one() -> Answer:
        github = GitHub(config.url, config.auth, clock, Budget(clock), verify=config.verify)
        async with github:
            return await github.query("probe", {"ids": []})

    return asyncio.run(one())


def test_a_server_of_one_s_own_is_trusted_by_its_bundle_alone(
    clock: SimulatedClock, tls: tuple[ssl.SSLContext, Path]
) -> None:
    context, bundle = tls
    with serve(DemoGitHub(), token=TOKEN, tls=context) as server:
        assert server.url.startswith("https://")
        assert ask_over_tls(f"{server.url}/api/v3", clock, bundle).data["nodes"] == []
        with pytest.raises(ConfigurationError, match=r"not trusted: self-signed.*GITHUB_CA_BUNDLE"):
            ask_over_tls(server.url, clock, None)
        assert clock.waits == []
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), ("no certificate", "no certificate in PEM")],
    ids=["absent", "no PEM"],
)
def test_a_bundle_that_cannot_be_read_is_named(
    clock: SimulatedClock, tmp_path: Path, content: str | None, said: str
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(ConfigurationError, match=f"GITHUB_CA_BUNDLE .*ca.pem.*{said}"):
        ask_over_tls("https://127.0.0.1:9", clock, bundle)
