"""The imports at a cold start of each function: seconds and megabytes.

The packages are built for this machine and imported as in Lambda, without compiled files. They run
on this machine's processor; in Lambda, a function with 1,769 MB has one processor.
"""

import json
import statistics
import subprocess
from pathlib import Path

from tests.infra.lambda_runtime import IMPORTED, Packages, unpack

TIMES = 5
STATUS = Path("/proc/self/status")
# VmHWM counts from the start of the program, unlike a child's ru_maxrss.
_IMPORT = f"""
import sys, time
began = time.perf_counter()
for name in sys.argv[1:]:
    __import__(name)
seconds = time.perf_counter() - began
[peak] = [line for line in open("{STATUS}") if line.startswith("VmHWM")]
print([seconds, int(peak.split()[1]) / 1024])
"""


def measure(home: Path) -> None:
    """Print a line for each function; on Linux only."""
    if not STATUS.exists():
        print(f"cold starts: not measured, because this system has no {STATUS}")
        return
    packages = unpack(home / "packages")
    for handler, later in IMPORTED.items():
        starts = [_start(packages, handler, later) for _ in range(TIMES)]
        seconds, megabytes = (statistics.median(figures) for figures in zip(*starts, strict=True))
        print(f"cold start of {handler}: {seconds:.2f} s of imports, {megabytes:.0f} MB at most")


def _start(packages: Packages, handler: str, later: tuple[str, ...]) -> tuple[float, float]:
    task = packages.folder / handler.partition(".")[0]
    environment = {
        "PYTHONPATH": str(task),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "PATH": "/usr/bin:/bin",
    }
    command = [packages.python, "-sS", "-c", _IMPORT, handler, *later]
    done = subprocess.run(
        command, cwd=task, env=environment, check=True, capture_output=True, text=True
    )
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes
