"""All settings, read once, at call time, from the environment or `.env`."""

from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import NonNegativeInt, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dora.errors import ConfigurationError
from dora.schemas import Schemas


class Settings(BaseSettings):
    """The settings in docs/configuration.md; an empty value counts as unset."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    github_pat: SecretStr | None = None
    github_token: SecretStr | None = None
    github_app_id: str | None = None
    github_app_installation_id: str | None = None
    github_app_private_key: SecretStr | None = None
    github_secret_arn: str | None = None
    github_api_url: str = "https://api.github.com"
    github_ca_bundle: Path | None = None
    github_reserve: NonNegativeInt = 100
    repositories: str | None = None
    team_config_json: str | None = None
    pull_requests: str | None = None
    automation_logins: str | None = None
    deployments: str | None = None
    incidents: str | None = None
    reporting_timezone: str | None = None
    attribution_instant: str | None = None
    db_url: SecretStr | None = None
    db_secret_arn: str | None = None
    ingest_login_secret_arn: str | None = None
    transform_login_secret_arn: str | None = None
    reader_login_secret_arn: str | None = None
    api_keys: SecretStr | None = None
    api_keys_secret_arn: str | None = None
    dlq_url: str | None = None
    digest_to: SecretStr | None = None
    dora_home: Path = Path(".dora")
    dora_schema_prefix: str = ""
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
            raise ValueError("is not an http(s) address")
        if parts.username or parts.password:
            raise ValueError("contains a user or a password: leave them out")
        return value.rstrip("/")

    @field_validator("github_pat", "github_token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        token = value.get_secret_value().strip()
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ValueError(
                "is not a GitHub token: tokens have no spaces and only ASCII characters"
            )
        return SecretStr(token)

    @field_validator("db_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in {"postgresql", "postgres"}:
                raise ValueError("is not a Postgres URL: it must begin with postgresql://")
        return value

    @field_validator("dora_schema_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        return Schemas(value).prefix

    @field_validator("reporting_timezone")
    @classmethod
    def _timezone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError(
                f"{value!r} is not a time zone: use an IANA name, such as Europe/Berlin"
            )
        return value

    @field_validator("attribution_instant")
    @classmethod
    def _instant(cls, value: str | None) -> str | None:
        if value not in {None, "merged_at", "created_at"}:
            raise ValueError(f"{value!r} is not known: use merged_at or created_at")
        return value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ValueError(f"{value!r} is not a log level: use DEBUG, INFO, WARNING or ERROR")
        return value.upper()


def load_settings(faults: list[str] | None = None) -> Settings:
    """Read the settings; raise `ConfigurationError` with every fault if any is malformed.

    With `faults`, append the faults to that list instead, and use defaults for malformed settings.
    """
    try:
        return Settings()
    except UnicodeDecodeError:
        raise ConfigurationError(".env is not UTF-8 text: save it as UTF-8") from None
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


def is_unconfigured(settings: Settings) -> bool:
    """Whether no setting for GitHub or teams is set, so that `dora run` shows the demo.

    `GITHUB_TOKEN` alone does not count: CI systems and cloud workspaces set it for everybody.
    """
    return not any(
        (
            settings.github_pat,
            settings.github_app_id,
            settings.github_app_installation_id,
            settings.github_app_private_key,
            settings.github_secret_arn,
            settings.repositories,
            settings.team_config_json,
        )
    )
