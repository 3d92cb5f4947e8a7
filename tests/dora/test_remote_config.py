import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from dora.api_keys import configured_keys
from dora.database import address
from dora.errors import ConfigurationError
from dora.remote_config import read_reference
from dora.settings import Settings


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


def test_a_setting_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "teams.json"
    path.write_text("[]", "utf-8")
    assert read_reference(str(path), "TEAM_CONFIG_JSON") == "[]"


def test_a_setting_may_be_in_s3() -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="acme-settings")
    s3.put_object(Bucket="acme-settings", Key="prod/teams.json", Body="[«1»]".encode())
    assert read_reference("s3://acme-settings/prod/teams.json", "TEAM_CONFIG_JSON") == "[«1»]"


def test_a_setting_may_be_a_parameter() -> None:
    boto3.client("ssm").put_parameter(Name="/dora/teams", Value="[2]", Type="SecureString")
    assert read_reference("ssm:/dora/teams", "TEAM_CONFIG_JSON") == "[2]"


@pytest.mark.parametrize("reference", ["s3://none/here", "ssm:/none", "none.json"])
def test_missing_reference_is_named(reference: str) -> None:
    with pytest.raises(ConfigurationError, match=f"REPOSITORIES '{reference}' cannot be read"):
        read_reference(reference, "REPOSITORIES")


def test_api_keys_from_secrets_manager_override_the_plain_ones() -> None:
    secret = boto3.client("secretsmanager").create_secret(Name="keys", SecretString="[]")
    settings = Settings(
        _env_file=None, api_keys=SecretStr("plain"), api_keys_secret_arn=secret["ARN"]
    )
    assert configured_keys(settings) == "[]"
    assert configured_keys(Settings(_env_file=None, api_keys=SecretStr("plain"))) == "plain"


def test_environment_supplies_missing_parts_of_the_database_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGDATABASE", "metrics")
    text = json.dumps({"username": "ingest", "password": "a/b@c"})
    secret = boto3.client("secretsmanager").create_secret(Name="db", SecretString=text)
    settings = Settings(
        _env_file=None, db_url=SecretStr("postgresql://plain"), db_secret_arn=secret["ARN"]
    )
    assert address(settings) == "postgresql://ingest:a%2Fb%40c@db.example:5432/metrics"


def test_database_secret_without_a_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    secret = boto3.client("secretsmanager").create_secret(Name="db", SecretString="{}")
    with pytest.raises(ConfigurationError, match="lacks host"):
        address(Settings(_env_file=None, db_secret_arn=secret["ARN"]))
