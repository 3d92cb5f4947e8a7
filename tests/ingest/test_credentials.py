import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from moto import mock_aws
from pydantic import SecretStr

from demo.github import GitHub as DemoGitHub
from demo.github_app import Installation
from demo.server import Server, serve
from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.clock import Budget, Clock, SystemClock
from ingest.github.client import GitHub
from ingest.github.credentials import read_credentials
from ingest.github.errors import TokenRefused
from tests.ingest.simulated import SimulatedClock

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = _KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
PUBLIC = (
    _KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.fixture
def installation() -> Installation:
    return Installation("12345", "678", PUBLIC)


@pytest.fixture
def server(installation: Installation) -> Iterator[Server]:
    with serve(DemoGitHub(), token="unused") as server:
        server.installations[installation.path] = installation
        yield server


def app_settings(server: Server, **changes: Any) -> Settings:
    plain = {
        "github_api_url": server.url,
        "github_app_id": "12345",
        "github_app_installation_id": "678",
        "github_app_private_key": SecretStr(PRIVATE),
    }
    return Settings(_env_file=None, **(plain | changes))


def ask(
    settings: Settings, times: int = 1, between: Any = None, clock: Clock | None = None
) -> None:
    clock = clock or SystemClock()

    async def all_of_them() -> None:
        auth = read_credentials(settings)
        async with GitHub(settings.github_api_url, auth, clock, Budget(clock)) as github:
            for _ in range(times):
                await github.query("probe", {"ids": []})
                if between:
                    between()

    asyncio.run(all_of_them())


def test_an_app_uses_one_token_until_it_is_old(server: Server, installation: Installation) -> None:
    ask(app_settings(server), times=3)
    assert len(installation.given) == 1


def test_an_app_renews_its_token_before_it_expires(
    server: Server, installation: Installation
) -> None:
    installation.lives = timedelta(minutes=4)
    ask(app_settings(server), times=3)
    assert len(installation.given) == 3


def test_a_token_revoked_in_mid_run_is_replaced(server: Server, installation: Installation) -> None:
    ask(app_settings(server), times=2, between=server.tokens.clear)
    assert len(installation.given) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, {"message": "You have exceeded a secondary rate limit"}), (429, {}), (502, {})],
    ids=str,
)
def test_an_app_whose_token_is_limited_asks_again(
    server: Server, installation: Installation, status: int, body: dict[str, Any]
) -> None:
    @dataclass
    class Limited(Installation):
        is_limited: bool = True

        def answer(self, authorization: str) -> tuple[int, Any]:
            if self.is_limited:
                self.is_limited = False
                return status, body
            return installation.answer(authorization)

    server.installations[installation.path] = Limited("12345", "678", PUBLIC)
    ask(app_settings(server), clock=SimulatedClock())
    assert len(installation.given) == 1


def test_an_enterprise_server_gives_tokens_below_its_rest_address(
    server: Server, installation: Installation
) -> None:
    ask(app_settings(server, github_api_url=f"{server.url}/api/v3"))
    assert len(installation.given) == 1


def test_a_key_in_one_line_is_read(server: Server, installation: Installation) -> None:
    one_line = SecretStr(PRIVATE.replace("\n", "\\n"))
    ask(app_settings(server, github_app_private_key=one_line))
    assert len(installation.given) == 1


def test_an_app_that_github_does_not_know_is_refused_without_showing_the_key(
    server: Server,
) -> None:
    with pytest.raises(TokenRefused, match="refuses the app 999 a token") as caught:
        ask(app_settings(server, github_app_id="999"))
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"github_app_private_key": SecretStr("not a key")}, "not a valid RSA private key"),
        ({"github_app_private_key": None}, "GITHUB_APP_PRIVATE_KEY is not set"),
        ({"github_app_id": None, "github_app_installation_id": None,
          "github_app_private_key": None}, r"GITHUB_PAT \(or GITHUB_TOKEN\) is not set"),
    ],
    ids=["no key", "half an app", "nothing"],
)  # fmt: skip
def test_what_is_missing_is_named(server: Server, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_credentials(app_settings(server, **changes))


@pytest.mark.parametrize(
    ("changes", "used"),
    [
        pytest.param({"GITHUB_TOKEN": "from-token"}, "from-token", id="token alone"),
        pytest.param(
            {"GITHUB_PAT": "from-pat", "GITHUB_TOKEN": "from-token"}, "from-pat", id="both"
        ),
    ],
)
def test_github_token_is_read_if_github_pat_is_not_set(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], used: str
) -> None:
    for name in ("GITHUB_PAT", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    request = httpx.Request("POST", "http://127.0.0.1/graphql")
    next(read_credentials(Settings(_env_file=None)).sync_auth_flow(request))
    assert request.headers["Authorization"] == f"bearer {used}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a-rotated-token\n", id="the token itself"),
        pytest.param(json.dumps({"GITHUB_PAT": "a-rotated-token"}), id="by name"),
    ],
)
def test_a_secret_wins_over_the_plain_token(
    server: Server, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    server.tokens = {"a-rotated-token"}
    with mock_aws():
        secret = boto3.client("secretsmanager").create_secret(Name="github", SecretString=text)
        settings = Settings(
            _env_file=None,
            github_pat=SecretStr("an-old-token"),
            github_api_url=server.url,
            github_secret_arn=secret["ARN"],
        )
        auth = read_credentials(settings)
    flow = auth.sync_auth_flow(httpx.Request("POST", server.url))
    assert next(flow).headers["Authorization"] == "bearer a-rotated-token"


def test_an_app_in_a_secret_is_used(
    server: Server, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    app = {
        "GITHUB_APP_ID": 12345,
        "GITHUB_APP_INSTALLATION_ID": 678,
        "GITHUB_APP_PRIVATE_KEY": PRIVATE,
    }
    with mock_aws():
        secret = boto3.client("secretsmanager").create_secret(
            Name="app", SecretString=json.dumps(app)
        )
        settings = Settings(
            _env_file=None, github_api_url=server.url, github_secret_arn=secret["ARN"]
        )
        auth = read_credentials(settings)

    async def one() -> None:
        clock = SystemClock()
        async with GitHub(server.url, auth, clock, Budget(clock)) as github:
            await github.query("probe", {"ids": []})

    asyncio.run(one())
    assert len(installation.given) == 1


def test_a_secret_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws(), pytest.raises(ConfigurationError, match="GITHUB_SECRET_ARN 'arn:none'"):
        read_credentials(Settings(_env_file=None, github_secret_arn="arn:none"))
