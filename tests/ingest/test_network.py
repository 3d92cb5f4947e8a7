"""Proxies and certificate authorities from the environment work or are refused by name."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from demo.github import GitHub as DemoGitHub
from demo.server import Fault, serve
from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.clock import Budget
from ingest.config import read_config
from ingest.github.client import GitHub
from ingest.github.errors import GitHubUnavailable
from tests.ingest.simulated import SimulatedClock

TOKEN = "a-secret-token"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
CLOSED = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


def ask(url: str, clock: SimulatedClock, ca_bundle: Path | None = None) -> dict[str, Any]:
    settings = Settings(
        _env_file=None,
        github_pat=SecretStr(TOKEN),
        github_api_url=url,
        github_ca_bundle=ca_bundle,
        repositories="acme/web",
        team_config_json='[{"id": "a", "name": "A", "members": []}]',
    )
    config = read_config(settings)

    async def one() -> dict[str, Any]:
        async with GitHub(
            config.url,
            config.auth,
            clock,
            Budget(clock),
            verify=config.verify,
            proxy=config.proxy,
        ) as github:
            return (await github.query("probe", {"ids": []})).data

    return asyncio.run(one())


@pytest.mark.parametrize(
    "no_proxy",
    ["127.0.0.1", "127.0.0.0/8", "::1/128,127.0.0.1", "localhost, 127.0.0.1 ,[::1]", "*"],
)
@pytest.mark.parametrize("proxy", [CLOSED, "socks5://127.0.0.1:9", "no scheme://:x"])
def test_proxy_is_not_needed_for_hosts_of_no_proxy(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, no_proxy: str, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with serve(DemoGitHub(), token=TOKEN) as server:
        assert ask(server.url, clock)["nodes"] == []


def test_entry_of_no_proxy_that_is_no_host_harms_nobody(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "::1/128,http://:::,[,10.0.0.0/99,;")
    with serve(DemoGitHub(), token=TOKEN) as server:
        assert ask(server.url, clock)["nodes"] == []


@pytest.mark.parametrize(
    "value",
    [
        "socks4://name:hunter2@127.0.0.1:9",
        "socks://127.0.0.1:9",
        "http://name:hunter2@127.0.0.1:99999",
        "name:hunter2@127.0.0.1:port",
        "ftp://127.0.0.1",
        "http://",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "https_proxy"])
def test_proxy_address_that_is_not_valid_is_refused_by_name(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, value: str, variable: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{variable} is not a valid proxy") as refused:
        ask("https://github.acme.example", clock)
    assert refused.value.exit_code == 2
    assert "hunter2" not in str(refused.value)


class Socks:
    """A SOCKS5 proxy without passwords; `hosts` records the requested hosts."""

    def __init__(self, listener: socket.socket) -> None:
        self.hosts: list[str] = []
        self._listener = listener

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.recv(2 + client.recv(2)[1])
            client.sendall(b"\x05\x00")
            *_, kind = client.recv(4)
            length = 4 if kind == 1 else client.recv(1)[0]
            name = client.recv(length)
            port = int.from_bytes(client.recv(2), "big")
            self.hosts.append(socket.inet_ntoa(name) if kind == 1 else name.decode())
            client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            with socket.create_connection(("127.0.0.1", port)) as server:
                threading.Thread(target=_pass_on, args=[server, client], daemon=True).start()
                _pass_on(client, server)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@pytest.fixture
def socks() -> Iterator[tuple[Socks, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Socks(listener)
        threading.Thread(target=proxy.run, daemon=True).start()
        yield proxy, f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_proxy_leads_to_github(
    clock: SimulatedClock,
    monkeypatch: pytest.MonkeyPatch,
    socks: tuple[Socks, str],
    scheme: str,
) -> None:
    proxy, address = socks
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://{address}")
    with serve(DemoGitHub(), token=TOKEN) as server:
        url = server.url.replace("127.0.0.1", "github.invalid")
        assert ask(url, clock)["nodes"] == []
    assert proxy.hosts == ["github.invalid"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy_that_asks_for_a_password_is_no_outage(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with serve(DemoGitHub(), token=TOKEN) as proxy:
        proxy.before_request = lambda operation, variables: Fault(status=407)
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.setattr("demo.server.PATHS", ("http://github.invalid/graphql",))
        with pytest.raises(ConfigurationError, match=f"the proxy in {variable} requires a name"):
            ask("http://github.invalid", clock)
    assert clock.waits == []


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("407 Proxy Authentication Required", "requires a name and a password"),
        ("403 Forbidden", "refuses to connect to https://github.invalid: 403 Forbidden"),
    ],
)
def test_proxy_that_opens_no_tunnel_is_named_by_its_variable(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, variable: str, status: str, said: str
) -> None:
    def refuse(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as client:
            client.recv(65536)
            client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, args=[listener], daemon=True).start()
        monkeypatch.setenv(variable, f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ConfigurationError, match=f"the proxy in {variable} {said}"):
            ask("https://github.invalid", clock)
    assert clock.waits == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_proxy_that_does_not_answer_is_named_by_its_variable(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, CLOSED)
    with pytest.raises(GitHubUnavailable, match=f"did not answer .* the proxy in {variable} after"):
        ask("http://github.invalid", clock)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_authorities_that_are_gone_are_named_if_github_needs_them(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "gone"))
    with pytest.raises(ConfigurationError, match=f"{variable} .*gone' cannot be read: No such"):
        ask("https://127.0.0.1:9", clock)
    with serve(DemoGitHub(), token=TOKEN) as server:
        assert ask(server.url, clock)["nodes"] == []


Issue = Callable[..., tuple[ssl.SSLContext, Path]]


@pytest.fixture
def issue(tmp_path: Path) -> Issue:
    """Make the certificates of an authority and a server, without Authority Key Identifier."""

    def pem(thing: Any) -> bytes:
        if isinstance(thing, x509.Certificate):
            return thing.public_bytes(serialization.Encoding.PEM)
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return bytes(thing.private_bytes(serialization.Encoding.PEM, pkcs8, plain))

    def make(*, days: int = 1, address: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
        now = datetime.now(UTC)
        authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        authority_name, name = (
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
            for text in ("Acme's authority", "github.acme.example")
        )
        authority = (
            x509.CertificateBuilder(
                authority_name,
                authority_name,
                authority_key.public_key(),
                x509.random_serial_number(),
            )
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = (
            x509.CertificateBuilder(
                authority_name, name, key.public_key(), x509.random_serial_number()
            )
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(names, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        bundle, chain = tmp_path / "ca.pem", tmp_path / "server.pem"
        bundle.write_bytes(pem(authority))
        chain.write_bytes(pem(key) + pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context, bundle

    return make


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Create contexts with the strict flag, as Python does from 3.13 on."""
    create = ssl.create_default_context

    def create_strict(*arguments: Any, **options: Any) -> ssl.SSLContext:
        context = create(*arguments, **options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", create_strict)


@pytest.mark.parametrize("variable", ["GITHUB_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.usefixtures("strict")
def test_own_authority_is_not_checked_strictly(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, issue: Issue, variable: str
) -> None:
    context, bundle = issue()
    if variable == "SSL_CERT_FILE":
        monkeypatch.setenv(variable, str(bundle))
    with serve(DemoGitHub(), token=TOKEN, tls=context) as server:
        used = bundle if variable == "GITHUB_CA_BUNDLE" else None
        assert ask(server.url, clock, used)["nodes"] == []


@pytest.mark.parametrize(
    ("made", "is_trusted", "said"),
    [
        ({}, False, "unable to get local issuer certificate"),
        ({"days": -1}, True, "certificate has expired"),
        ({"address": "127.0.0.2"}, True, "IP address mismatch"),
    ],
    ids=["unknown authority", "expired", "of another host"],
)
def test_certificate_that_is_not_trusted_is_no_outage(
    clock: SimulatedClock, issue: Issue, made: dict[str, Any], is_trusted: bool, said: str
) -> None:
    context, bundle = issue(**made)
    with serve(DemoGitHub(), token=TOKEN, tls=context) as server:
        with pytest.raises(ConfigurationError, match=f"{said}.*GITHUB_CA_BUNDLE") as refused:
            ask(server.url, clock, bundle if is_trusted else None)
        assert server.requests == []
    assert refused.value.exit_code == 2
    assert clock.waits == []
