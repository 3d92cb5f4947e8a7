"""Read secrets from AWS Secrets Manager when they are needed: rotation needs no deployment."""

import json
import logging
from typing import Any

from dora.errors import ConfigurationError


def read_secret(arn: str, setting: str) -> str:
    """Return a secret's text; `setting` names it in the `ConfigurationError`."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    # At DEBUG, botocore logs whole responses, including the secret.
    if logging.getLogger("botocore").getEffectiveLevel() < logging.INFO:
        logging.getLogger("botocore").setLevel(logging.INFO)
    try:
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=arn)
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"{setting} {arn!r} cannot be read: {error}") from None
    text = answer.get("SecretString")
    if not text:
        raise ConfigurationError(f"{setting} {arn!r} contains no text")
    return str(text)


def read_secret_object(arn: str, setting: str) -> dict[str, Any] | None:
    """Return a secret's JSON object, or None if the secret is plain text."""
    text = read_secret(arn, setting).strip()
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        raise ConfigurationError(f"{setting} {arn!r} is not valid JSON") from None
    return dict(found)
