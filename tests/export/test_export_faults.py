"""The command when it is killed, runs twice, or cannot write; each in a separate process."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pyarrow.parquet as pq
import pytest
from export_support import Rows, in_order, marts_of, postgres_rows, publish
from moto.server import ThreadedMotoServer

from dora.database import Database
from dora.errors import ConfigurationError, UnavailableError
from export.destination import Destination, open_destination
from export.run import LOCK, MANIFEST, export_marts

ROOT = Path(__file__).resolve().parents[2]
CHANGE_MUCH = (
    "update marts.fct_pull_requests set title = title || '!'",
    "update marts.fct_team_pull_requests set weight = 1 - weight",
    "update marts.fct_team_velocity_weekly set contributors = 99",
)
Exporting = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a simulated S3."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def aws(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["folder", "s3"])
def to(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The value of `--to`: a folder, or a prefix in a new bucket."""
    if request.param == "folder":
        return str(tmp_path / "marts")
    bucket = f"lake-{token_hex(4)}"
    boto3.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return f"s3://{bucket}/dora/marts"


@pytest.fixture
def exporting(marts: Database) -> Iterator[Exporting]:
    """Start `dora export`; processes that a failed test leaves are killed."""
    started = []

    def start(to: str, *more: str, limit: int = 0, **environment: str) -> Any:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "cli", "export", "--to", to, *more],
                cwd=ROOT,
                env=os.environ | {"DB_URL": marts.url} | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=(lambda: limit_files(limit)) if limit else None,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def limit_files(size: int) -> None:
    """Refuse to write a file beyond a size, as a full disk would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    faults = [line for line in err.splitlines() if not line.startswith("{")]
    return process.returncode, out, "\n".join(faults)


def rows_of_marts(database: Database) -> dict[str, Rows]:
    return {mart.name: postgres_rows(database, mart) for mart in marts_of(database)}


def read_all(destination: Destination) -> tuple[str, dict[str, Rows]]:
    """The build in the manifest, and the rows in all of its files."""
    manifest = json.loads(destination.read(MANIFEST) or b"")
    found = {}
    for name, mart in manifest["marts"].items():
        rows: list[tuple[Any, ...]] = []
        for file in mart["files"]:
            content = destination.read(file["path"])
            assert content is not None, file
            table = pq.read_table(BytesIO(content))
            rows += zip(*(column.to_pylist() for column in table.columns), strict=True)
        found[name] = in_order(rows)
    return manifest["build"]["build_id"], found


def test_reader_finds_a_whole_build_after_a_kill_at_any_stage(
    marts: Database, exporting: Exporting, to: str
) -> None:
    destination = open_destination(to)
    export_marts(marts, destination, keep=1)
    builds = dict([read_all(destination)])
    before = destination.sizes().keys()
    new = publish(marts, *CHANGE_MUCH)
    builds[new] = rows_of_marts(marts)

    def has_written(count: int) -> bool:
        # Unfinished files come and go.
        with suppress(FileNotFoundError):
            return len(destination.sizes().keys() - before) >= count
        return False

    killed = 0
    for count in (0, 1, 2, 10, 25, 40):
        process = exporting(to, "--keep", "1")
        while process.poll() is None and not has_written(count):
            time.sleep(0.001)
        process.kill()
        killed += process.wait() == -9
        build_id, found = read_all(destination)
        assert found == builds[build_id]
    assert killed >= 4
    written = len(destination.sizes().keys() - before)
    process = exporting(to, "--keep", "1")
    code, out, err = ended(process)
    assert (code, err) == (0, "")
    assert read_all(destination) == (new, builds[new])
    again = int(out.split("; ")[1].split(" ")[0])
    assert again + written <= len(destination.sizes()) + 2
    leftover = [name for name in destination.sizes() if name.startswith(".")]
    assert leftover == []


def test_second_export_waits_for_the_first(
    marts: Database, exporting: Exporting, tmp_path: Path
) -> None:
    with marts.connect(autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", [LOCK])
        process = exporting(str(tmp_path))
        assert process.stderr is not None
        assert "another export is running" in process.stderr.readline()
        assert [*tmp_path.iterdir()] == []
    assert ended(process)[0] == 0
    assert (tmp_path / MANIFEST).exists()


def test_full_disk_ends_in_one_line_and_keeps_the_last_build(
    marts: Database, exporting: Exporting, tmp_path: Path
) -> None:
    destination = open_destination(str(tmp_path))
    export_marts(marts, destination, keep=1)
    before = read_all(destination)
    publish(marts, *CHANGE_MUCH)
    code, out, err = ended(exporting(str(tmp_path), limit=5000))
    assert (code, out) == (2, "")
    assert err == f"dora: --to {tmp_path} cannot be written: File too large"
    assert read_all(destination) == before
    assert not [*tmp_path.glob(".partial*")]


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("FILE", "--to FILE cannot be written: it is not a folder"),
        ("FILE/below", "--to FILE/below cannot be written: it is not a folder"),
        ("s3://", "--to 's3://' has no bucket: write s3://BUCKET/PREFIX"),
        ("gs://a/b", "--to 'gs://a/b' is not supported: give a folder or s3://BUCKET/PREFIX"),
        ("s3://no-such/a", "--to s3://no-such/a/ cannot be used: .*The specified bucket does not"),
    ],
)
def test_unusable_destination_is_named(marts: Database, tmp_path: Path, to: str, said: str) -> None:
    file = tmp_path / "file"
    file.touch()
    to, said = (text.replace("FILE", str(file)) for text in (to, said))
    with pytest.raises(ConfigurationError, match=said):
        export_marts(marts, open_destination(to), keep=1)


def test_s3_that_does_not_answer_is_unavailable(
    marts: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="--to s3://lake/a/ is unavailable: Could not conn"):
        export_marts(marts, open_destination("s3://lake/a"), keep=1)


def test_refused_credentials_are_named(marts: Database, s3: str) -> None:
    def check_credentials_after(requests: str) -> None:
        headers = {"Content-Type": "text/plain"}
        address = f"{s3}/moto-api/reset-auth"
        urlopen(Request(address, requests.encode(), headers, method="POST")).close()

    check_credentials_after("0")
    try:
        with pytest.raises(ConfigurationError, match=r"s3://lake/a/ cannot be used: .*Invalid"):
            export_marts(marts, open_destination("s3://lake/a"), keep=1)
    finally:
        check_credentials_after("inf")


def test_other_formats_are_refused(exporting: Exporting, tmp_path: Path) -> None:
    code, out, err = ended(exporting(str(tmp_path), "--format", "delta"))
    assert (code, out) == (2, "")
    assert err.startswith("dora: --format delta is not supported (each would be a transaction per")
    assert err.endswith(": use parquet")


def test_database_without_a_build_is_named(
    database: Database, exporting: Exporting, tmp_path: Path
) -> None:
    with database.connect("dora_transform") as owner:
        owner.execute("drop table marts.dim_build")
    code, _, err = ended(exporting(str(tmp_path)))
    assert code == 2
    assert err.endswith("has no build to export: run `dora build` first")
