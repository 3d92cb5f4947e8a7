"""Read a setting from another place: a file's path, `s3://BUCKET/KEY` or `ssm:NAME`."""

from pathlib import Path

from dora.errors import ConfigurationError


def read_reference(reference: str, setting: str) -> str:
    """Return the text that a reference points to; `setting` names it in `ConfigurationError`s."""
    if reference.startswith("s3://"):
        return _read_s3(reference, setting)
    if reference.startswith("ssm:"):
        return _read_ssm(reference, setting)
    try:
        return Path(reference).expanduser().read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"{setting} {reference!r} cannot be read: {reason}") from None


def _read_s3(reference: str, setting: str) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = reference.removeprefix("s3://").partition("/")
    try:
        body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return str(body.decode("utf-8"))
    except (BotoCoreError, ClientError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{setting} {reference!r} cannot be read: {error}") from None


def _read_ssm(reference: str, setting: str) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    name = reference.removeprefix("ssm:")
    try:
        answer = boto3.client("ssm").get_parameter(Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"{setting} {reference!r} cannot be read: {error}") from None
