"""A GitHub App's installation: it issues tokens for requests signed by the app."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import jwt

from demo.schema import Answer

LONGEST = timedelta(minutes=10)


@dataclass
class Installation:
    """An installation of the app with this public key (PEM); its tokens are valid for `lives`."""

    app_id: str
    installation_id: str
    public_key: str
    lives: timedelta = timedelta(hours=1)
    given: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The path of its tokens, without the prefix of GitHub Enterprise Server."""
        return f"/app/installations/{self.installation_id}/access_tokens"

    def answer(self, authorization: str) -> tuple[int, Answer]:
        """Return status and body for a request with this `Authorization` header."""
        signed = authorization.partition(" ")[2]
        try:
            claims = jwt.decode(
                signed,
                self.public_key,
                algorithms=["RS256"],
                issuer=self.app_id,
                options={"require": ["iat", "exp", "iss"]},
            )
        except jwt.PyJWTError:
            return 401, {"message": "A JSON web token could not be decoded", "status": "401"}
        if claims["exp"] - claims["iat"] > LONGEST.total_seconds():
            message = "'Expiration time' claim ('exp') is too far in the future"
            return 401, {"message": message, "status": "401"}
        self.given.append(f"ghs_{secrets.token_hex(18)}")
        expires_at = (datetime.now(UTC) + self.lives).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 201, {"token": self.given[-1], "expires_at": expires_at}
