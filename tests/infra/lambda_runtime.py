"""A small stand-in for the Lambda runtime API, and a function of a package started against it.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECONDS = 300
# All is read-only but /tmp, and there is no /dev/shm, as in Lambda.
CONFINED = """
mount --make-rprivate / && mount -t tmpfs -o ro none /dev/shm && mount --bind /tmp /tmp &&
    mount -o remount,bind,ro / && exec "$@"
"""


class _Answers(BaseHTTPRequestHandler):
    server: "_Api"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        identity, event = self.server.events.get()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", identity)
        self.send_header("Content-Type", "application/json")
        self.send_header("Lambda-Runtime-Invocation-Id", identity)
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
        deadline = round(1000 * (time.time() + SECONDS))
        self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
        self.send_header(
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:f",
        )
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
    """A running function; its log, standard output and error, is in a file."""

    def __init__(
        self,
        python: str,
        task: Path,
        runtime: Path,
        handler: str,
        environment: dict[str, str],
        log: Path,
        within: tuple[str, ...],
    ) -> None:
        self._api = _Api()
        threading.Thread(target=self._api.serve_forever, daemon=True).start()
        given = environment | {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": handler.partition(".")[0],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "LAMBDA_TASK_ROOT": str(task),
            "PYTHONPATH": f"{task}:{runtime}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": "/usr/bin:/bin",
        }
        self.log = log
        self._file = log.open("wb")
        self._process = subprocess.Popen(
            [*within, python, "-m", "awslambdaric", handler],
            cwd=task,
            env=given,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    def invoke(self, event: Any) -> tuple[str, Any]:
        """`("response", answer)` or `("error", …)`."""
        self._api.events.put((uuid.uuid4().hex, event))
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                return self._api.results.get(timeout=0.2)
            except queue.Empty:
                if self._process.poll() is not None:
                    break
        raise AssertionError(f"the function gave no answer:\n{self.log.read_text('utf-8')}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._file.close()
        self._api.shutdown()
        self._api.server_close()


def confinement() -> tuple[str, ...]:
    """Root's mount namespace; none where the machine does not allow it."""
    command = ("unshare", "--mount", "sh", "-c", CONFINED, "sh")
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return ()
    return command
