"""Authentication at GitHub: a personal access token, or an installation of a GitHub App.

App tokens: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime, timedelta

import httpx
from pydantic import SecretStr

from dora.aws_secrets import read_secret, read_secret_object
from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.github.errors import GitHubUnavailable, TokenRefused
from ingest.github.responses import refuse_bad_status

# GitHub refuses a JWT that is valid for over ten minutes or was issued in the future.
JWT_SECONDS, JWT_SKEW_SECONDS = 540, 60
TOKEN = re.compile(r"[!-~]+")
# Installation tokens are valid for an hour; a token about to expire is not used for a long query.
RENEW_BEFORE = timedelta(minutes=5)


class TokenAuth(httpx.Auth):
    """A personal access token."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = f"bearer {self._token.get_secret_value()}"
        yield request


class AppAuth(httpx.Auth):
    """An installation of a GitHub App; its tokens are renewed before they expire."""

    def __init__(self, url: str, app_id: str, installation_id: str, private_key: SecretStr) -> None:
        self._tokens_url = f"{url}/app/installations/{installation_id}/access_tokens"
        self._app_id = app_id
        # In environment variables the lines of a key are often joined by a literal \n.
        self._key = SecretStr(private_key.get_secret_value().replace("\\n", "\n"))
        self._token: SecretStr | None = None
        self._expires_at = datetime.fromtimestamp(0, UTC)
        self._renewing = asyncio.Lock()
        self._jwt()

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the header; get a new token if the old one is about to expire or was refused."""
        async with self._renewing:
            if datetime.now(UTC) >= self._expires_at - RENEW_BEFORE:
                given = yield self._ask()
                await given.aread()
                self._take(given)
        used = self._authorise(request)
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        async with self._renewing:
            if self._token is used:
                given = yield self._ask()
                await given.aread()
                self._take(given)
        self._authorise(request)
        yield request

    def _authorise(self, request: httpx.Request) -> SecretStr | None:
        token = self._token
        request.headers["Authorization"] = f"bearer {token.get_secret_value() if token else ''}"
        return token

    def _ask(self) -> httpx.Request:
        headers = {"Authorization": f"Bearer {self._jwt()}", "Accept": "application/json"}
        return httpx.Request("POST", self._tokens_url, headers=headers)

    def _jwt(self) -> str:
        # A local import: it would take a tenth of the time of a run without changes.
        import jwt

        now = int(time.time())
        claims = {
            "iat": now - JWT_SKEW_SECONDS,
            "exp": now + JWT_SECONDS,
            "iss": self._app_id,
        }
        try:
            return jwt.encode(claims, self._key.get_secret_value(), algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            raise ConfigurationError(
                "GITHUB_APP_PRIVATE_KEY is not a valid RSA private key in PEM"
            ) from None

    def _take(self, response: httpx.Response) -> None:
        try:
            refuse_bad_status(response, datetime.now(UTC))
        except (TokenRefused, GitHubUnavailable):
            raise TokenRefused(
                f"GitHub refuses the app {self._app_id} a token for this installation: "
                f"HTTP {response.status_code}"
            ) from None
        body = response.json()
        self._token = SecretStr(body["token"])
        self._expires_at = datetime.fromisoformat(body["expires_at"])


def read_credentials(settings: Settings) -> httpx.Auth:
    """Return the configured credentials, from Secrets Manager if `GITHUB_SECRET_ARN` is set.

    Raises `ConfigurationError` if there are none, or only a part of a GitHub App's.
    """
    settings = _with_secret(settings)
    app = {
        "GITHUB_APP_ID": settings.github_app_id,
        "GITHUB_APP_INSTALLATION_ID": settings.github_app_installation_id,
        "GITHUB_APP_PRIVATE_KEY": settings.github_app_private_key,
    }
    if settings.github_pat is not None:
        return TokenAuth(settings.github_pat)
    if settings.github_token is not None and not any(app.values()):
        return TokenAuth(settings.github_token)
    if missing := [name for name, value in app.items() if value is None]:
        if len(missing) < len(app):
            raise ConfigurationError(
                f"{', '.join(missing)} is not set, but the app's other settings are"
            )
        raise ConfigurationError(
            "GITHUB_PAT (or GITHUB_TOKEN) is not set; set it to a token that can read the"
            " repositories"
        )
    return AppAuth(
        settings.github_api_url,
        str(settings.github_app_id),
        str(settings.github_app_installation_id),
        settings.github_app_private_key or SecretStr(""),
    )


def _with_secret(settings: Settings) -> Settings:
    """Replace the settings by the secret in `GITHUB_SECRET_ARN`: a token, or JSON by name."""
    arn = settings.github_secret_arn
    if arn is None:
        return settings
    found = read_secret_object(arn, "GITHUB_SECRET_ARN")
    if found is None:
        found = {"GITHUB_PAT": read_secret(arn, "GITHUB_SECRET_ARN").strip()}
    named = {str(name).lower(): SecretStr(str(value)) for name, value in found.items() if value}
    app_id, installation_id = named.get("github_app_id"), named.get("github_app_installation_id")
    token = named.get("github_pat")
    if token is not None and not TOKEN.fullmatch(token.get_secret_value()):
        raise ConfigurationError("the secret in GITHUB_SECRET_ARN is not a token")
    return settings.model_copy(
        update={
            "github_pat": token,
            "github_app_id": app_id and app_id.get_secret_value(),
            "github_app_installation_id": installation_id and installation_id.get_secret_value(),
            "github_app_private_key": named.get("github_app_private_key"),
        }
    )
