"""A small stand-in for the Lambda runtime API, and a packaged function started against it.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import platform
import queue
import shutil
import subprocess
import sys
import threading
import time
import uuid
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.package import PYTHON, make_all
from tests.confinement import with_new_tmp
from transform.dbt_runner import ROOT

SECONDS = 300
# Each handler's module, with the modules that it imports on its first call.
IMPORTED = {
    "ingest.handler": ("boto3",),
    "transform.prepare": ("boto3",),
    "transform.handler": ("boto3", "dbt.cli.main", "dbt.adapters.postgres"),
    "api.handler": ("boto3",),
}
REGION = "eu-central-1"


@dataclass(frozen=True)
class Packages:
    """Unpacked packages, each in a folder of its name, and the runtime that Lambda adds."""

    folder: Path
    runtime: Path
    python: str


def unpack(folder: Path) -> Packages:
    """Build the packages for this machine and unpack them, read-only."""
    python, version = interpreter()
    runtime = folder / "runtime"
    _install_runtime(runtime, version)
    for name, (path, _) in make_all(folder, platform.machine(), version).items():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / name)
        for found in (folder / name).rglob("*"):
            found.chmod(0o555 if found.is_dir() else 0o444)
        path.unlink()
    return Packages(folder, runtime, python)


def interpreter() -> tuple[str, str]:
    """Return Lambda's Python if this machine has it, else this one, and its version.

    It is not in a virtual environment, where a dependency missing in a package could be found.
    """
    found = sorted(Path.home().glob(f".pyenv/versions/{PYTHON}*/bin/python{PYTHON}"))
    path = str(found[-1]) if found else shutil.which(f"python{PYTHON}")
    if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
        return os.path.realpath(path), PYTHON
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    warnings.warn(f"Python {PYTHON} is not installed: the packages run on {own}", stacklevel=1)
    return os.path.realpath(sys.executable), own


def _install_runtime(folder: Path, version: str) -> None:
    """Install the Lambda runtime client at the locked version."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
    command += ["--target", str(folder), "--python-version", version, "--only-binary", ":all:"]
    constraints = str(ROOT / "requirements" / "dev.txt")
    subprocess.run([*command, "-c", constraints, "awslambdaric"], check=True)


class _Answers(BaseHTTPRequestHandler):
    server: "_Api"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        identity, event = self.server.events.get()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Lambda-Runtime-Aws-Request-Id", identity)
        self.send_header("Lambda-Runtime-Invocation-Id", identity)
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
        deadline = round(1000 * (time.time() + SECONDS))
        self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
        arn = f"arn:aws:lambda:{REGION}:123456789012:function:f"
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
        self._end(json.dumps(event).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.results.put((self.path.rpartition("/")[2], json.loads(body)))
        self.send_response(202)
        self._end(b"{}")

    def _end(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Api(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.results: queue.Queue[tuple[str, Any]] = queue.Queue()


class Function:
    """A running function; its log file holds standard output and standard error."""

    def __init__(self, api: _Api, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._api, self._process, self._log = api, process, log

    def invoke(self, event: Any) -> Any:
        """Return its result; raise `AssertionError` with its log if it fails."""
        self._api.events.put((uuid.uuid4().hex, event))
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                kind, answer = self._api.results.get(timeout=0.2)
            except queue.Empty:
                continue
            assert kind == "response", f"{answer}\n{self.log()[-8000:]}"
            return answer
        raise AssertionError(f"the function returned no result:\n{self.log()[-8000:]}")

    def log(self) -> str:
        return self._log.read_text("utf-8")


@contextmanager
def started(
    handler: str, packages: Packages, environment: Mapping[str, str], log: Path
) -> Iterator[Function]:
    """Start a handler; stop it after the block."""
    api = _Api()
    threading.Thread(target=api.serve_forever, daemon=True).start()
    task, runtime = packages.folder / handler.partition(".")[0], packages.runtime
    within = with_new_tmp(str(task), str(runtime))
    if within:
        task, runtime = Path("/mnt/task"), Path("/mnt/runtime")
    # The variables that Lambda sets and that our code or its libraries read.
    given = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": handler.partition(".")[0],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": environment.get("LOG_LEVEL", "INFO"),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(task),
        "PYTHONPATH": f"{task}:{runtime}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/usr/bin:/bin",
    }
    # -s and -S: without this machine's installed packages.
    command = [*within, packages.python, "-sS", "-m", "awslambdaric", handler]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=packages.folder if within else task,
            env=given | dict(environment),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Function(api, process, log)
    finally:
        process.kill()
        process.wait()
        api.shutdown()
        api.server_close()
