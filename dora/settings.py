"""Every setting of the product, read once, at call time, from the environment or `.env`."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import NonNegativeInt, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dora.errors import ConfigurationError


class Settings(BaseSettings):
    """The configuration table of the README; an empty value counts as unset."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    github_pat: SecretStr | None = None
    github_app_id: str | None = None
    github_app_installation_id: str | None = None
    github_app_private_key: SecretStr | None = None
    github_secret_arn: str | None = None
    github_api_url: str = "https://api.github.com"
    github_ca_bundle: Path | None = None
    github_reserve: NonNegativeInt = 100
    repositories: str | None = None
    team_config_json: str | None = None
    db_url: SecretStr | None = None
    db_secret_arn: str | None = None
    ingest_login_secret_arn: str | None = None
    transform_login_secret_arn: str | None = None
    reader_login_secret_arn: str | None = None
    api_keys: SecretStr | None = None
    api_keys_secret_arn: str | None = None
    dlq_url: str | None = None
    dora_home: Path = Path(".dora")
    log_level: str = "INFO"

    @field_validator("github_api_url")
    @classmethod
    def _http(cls, value: str) -> str:
        parts = urlsplit(value)
        try:
            is_address = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise ValueError("is no http(s) address")
        if parts.username or parts.password:
            raise ValueError("has a user or a password in it; leave these out")
        return value.rstrip("/")

    @field_validator("github_pat")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        token = value.get_secret_value().strip()
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ValueError("is no token: it has spaces or other signs in it that none has")
        return SecretStr(token)

    @field_validator("db_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in {"postgresql", "postgres"}:
                raise ValueError("is no Postgres URL; it should begin with postgresql://")
        return value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ValueError(f"{value!r} is no log level; use DEBUG, INFO, WARNING or ERROR")
        return value.upper()


def load_settings(faults: list[str] | None = None) -> Settings:
    """Read the settings; raise `ConfigurationError` with every fault if any is malformed.

    With `faults`, they are added to that instead, and what is malformed is left at its default.
    """
    try:
        return Settings()
    except UnicodeDecodeError:
        raise ConfigurationError(".env is no UTF-8 text") from None
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        said = [
            f"{'.'.join(map(str, fault['loc'])).upper()} "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in found
        ]
        if faults is None:
            raise ConfigurationError(said) from None
        faults += said
        names = {str(fault["loc"][0]).lower() for fault in found}
        return Settings(**{name: Settings.model_fields[name].get_default() for name in names})


def has_credentials(settings: Settings) -> bool:
    """Whether anything says who we are to GitHub."""
    return any((settings.github_pat, settings.github_app_id, settings.github_secret_arn))
