"""Where the files go: a folder or a prefix in S3. Each file appears there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dora.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PARTIAL = ".partial-"
# S3 deletes at most so many objects per request.
_DELETED_AT_ONCE = 1000


class Destination(Protocol):
    """Files by their names, which are relative paths with `/`."""

    def faults(self) -> AbstractContextManager[None]:
        """Turn the storage's errors in a block into errors for the user."""

    def scratch(self) -> AbstractContextManager[Path]:
        """A local folder for unfinished files, deleted after the block."""

    def sizes(self) -> dict[str, int]:
        """The names and sizes in bytes of all files."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if it does not exist."""

    def put(self, file: Path, name: str) -> None:
        """Move a file from `scratch` to its name, replacing another one."""

    def remove(self, names: Iterable[str]) -> None:
        """Delete files."""


def open_destination(to: str) -> Destination:
    """Open a folder, which need not exist, or `s3://BUCKET/PREFIX`.

    Raise `ConfigurationError` if it is neither.
    """
    if to.startswith("s3://"):
        bucket, _, prefix = to.removeprefix("s3://").partition("/")
        if not bucket:
            raise ConfigurationError(f"--to {to!r} has no bucket: write s3://BUCKET/PREFIX")
        return Bucket(bucket, prefix.strip("/"))
    if "://" in to:
        raise ConfigurationError(
            f"--to {to!r} is not supported: give a folder or s3://BUCKET/PREFIX"
        )
    return Folder(Path(to).expanduser())


class Folder:
    """A local folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Raise `ConfigurationError` for a folder that cannot be written, such as a full disk."""
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            if isinstance(error, FileExistsError | NotADirectoryError):
                reason = "it is not a folder"
            raise ConfigurationError(f"--to {self} cannot be written: {reason}") from error

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """In the folder, so that `put` is a rename; deletes those of killed exports."""
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=self._root) as folder:
            yield Path(folder)

    def sizes(self) -> dict[str, int]:
        return {
            path.relative_to(self._root).as_posix(): path.stat().st_size
            for path in self._root.rglob("*")
            if path.is_file()
        }

    def read(self, name: str) -> bytes | None:
        path = self._root / name
        return path.read_bytes() if path.exists() else None

    def put(self, file: Path, name: str) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Otherwise a power failure could leave an empty file under the name, which later exports
        # would take for the whole one.
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
        file.replace(path)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = self._root / name
            path.unlink(missing_ok=True)
            if path.parent != self._root and not any(path.parent.iterdir()):
                path.parent.rmdir()


class Bucket:
    """A prefix in an S3 bucket, with the credentials and the region of the environment."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    @cached_property
    def _client(self) -> "S3Client":
        import boto3

        client: S3Client = boto3.client("s3")
        return client

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Raise `UnavailableError` if S3 does not answer, else `ConfigurationError`."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectionError,
            HTTPClientError,
        )

        try:
            yield
        except (ConnectionError, HTTPClientError) as error:
            raise UnavailableError(f"--to {self} is unavailable: {error}") from error
        except ClientError as error:
            is_down = error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
            kind = UnavailableError if is_down else ConfigurationError
            raise kind(f"--to {self} cannot be used: {error}") from error
        except BotoCoreError as error:
            raise ConfigurationError(f"--to {self} cannot be used: {error}") from error
        except OSError as error:
            raise ConfigurationError(f"temporary files cannot be written: {error}") from error

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """One file at a time, in the system's folder for temporary files."""
        with tempfile.TemporaryDirectory(prefix="dora-export-") as folder:
            yield Path(folder)

    def sizes(self) -> dict[str, int]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        return {
            each["Key"].removeprefix(self._prefix): each["Size"]
            for page in pages
            for each in page.get("Contents", [])
        }

    def read(self, name: str) -> bytes | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
        except self._client.exceptions.NoSuchKey:
            return None
        return answer["Body"].read()

    def put(self, file: Path, name: str) -> None:
        with file.open("rb") as body:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body)
        file.unlink()

    def remove(self, names: Iterable[str]) -> None:
        keys = [self._prefix + name for name in names]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = keys[start : start + _DELETED_AT_ONCE]
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in batch]}
            )
            # An answer with status 200 may contain refusals.
            for refusal in answer.get("Errors", []):
                raise ConfigurationError(
                    f"--to {self} cannot be cleaned up: {refusal['Key']}: {refusal['Message']}"
                )
