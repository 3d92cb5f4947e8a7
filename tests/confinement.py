"""Run a process with the limits of AWS Lambda: no /dev/shm, few writable folders."""

import os
import subprocess
from functools import cache

# Makes all mounts read-only, then runs the command after `--`.
_READ_ONLY = """
set -e
mount --make-rprivate /
mount -t tmpfs none /dev/shm
{before}
while read -r _ point _; do
    case "$point" in {kept}) ;; *) mount -o remount,bind,ro "$point" 2>/dev/null || true ;; esac
done < /proc/self/mounts
{after}
exec "$@"
"""
# The machine's /tmp stays writable, except for a clone in it, which becomes a separate mount.
_OWN_TMP = _READ_ONLY.format(
    before="""
mount --bind /tmp /tmp
case "$PWD" in /tmp/*) mount --bind "$PWD" "$PWD" ;; esac
""",
    kept="/tmp",
    after="",
)
# A new /tmp, and two of the machine's folders mounted as the task and the runtime of Lambda.
_NEW_TMP = _READ_ONLY.format(
    before="""
mount -t tmpfs none /mnt
for place in task runtime; do
    mkdir "/mnt/$place"
    mount --bind "$1" "/mnt/$place"
    shift
done
""",
    kept="''",
    after="mount -t tmpfs none /tmp\ncd /mnt/task",
)
_PROBE = """
for folder in "$@"; do
    (: > "$folder/probe") 2>/dev/null && rm "$folder/probe" && echo "$folder"
done
true
"""


def with_own_tmp() -> tuple[str, ...]:
    """The prefix for a command that may write only to /tmp; empty if the machine has none."""
    return _within(_OWN_TMP)


def with_new_tmp(task: str, runtime: str) -> tuple[str, ...]:
    """The same with an empty /tmp, and two folders as /mnt/task and /mnt/runtime."""
    return _within(_NEW_TMP, task, runtime)


@cache
def without_network() -> tuple[str, ...]:
    """The prefix for a command without network access; empty if the machine has none."""
    if not _namespace():
        return ()
    command = (*_namespace(), "--net")
    done = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if done.returncode == 0 else ()


def writable(within: tuple[str, ...], folders: tuple[str, ...]) -> list[str]:
    """The folders that a command can write to."""
    done = subprocess.run(
        [*within, "sh", "-c", _PROBE, "sh", *folders], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def _within(script: str, *arguments: str) -> tuple[str, ...]:
    return (*_namespace(), "sh", "-c", script, "sh", *arguments) if _namespace() else ()


@cache
def _namespace() -> tuple[str, ...]:
    """A mount namespace of root or of a user; empty if this machine allows neither."""
    own = () if os.geteuid() == 0 else ("--map-root-user",)
    command = ("unshare", *own, "--mount")
    try:
        subprocess.run(
            [*command, "sh", "-c", _OWN_TMP, "sh", "true"], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    return command
