"""`python -m demo serve`: a simulated GitHub in a separate process."""

import argparse
import json
import os
import select
import signal
import stat
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from demo.delivery_generator import deployment_rules, incident_rules, ship
from demo.github import GitHub
from demo.model import instant
from demo.organisation import END, generate
from demo.server import TOKEN, Server, clock_from

POLL_SECONDS = 0.5
LEAD = timedelta(minutes=10)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM, until the parent process ends, or until a pipe on stdin is closed.

    Prints one JSON line when ready: `url`, `token`, the list of `repositories` and, for the made-up
    organisation, the values of DEPLOYMENTS and INCIDENTS.
    """
    parent = os.getppid()
    options = _options(arguments)
    rules: dict[str, Any] = {}
    if options.jsonl is not None:
        github, clock = GitHub.from_jsonl(options.jsonl), time.time
    else:
        organisation = generate(options.seed, options.pull_requests, end=options.end)
        github = GitHub.from_organisation(organisation)
        ship(github, organisation, options.seed)
        rules = {"deployments": deployment_rules(), "incidents": incident_rules()}
        # Start a short time after the last change, so that the latest weeks are never empty.
        clock = clock_from(datetime.fromisoformat(organisation.end) + LEAD)
        if options.teams_out is not None:
            text = json.dumps(organisation.team_config(), indent=1) + "\n"
            options.teams_out.write_text(text, "utf-8")
    server = Server(github, options.token, clock=clock, port=options.port)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    server.start()
    names = [repository.name_with_owner for repository in github.repositories()]
    ready = {"url": server.url, "token": options.token, "repositories": names, **rules}
    print(json.dumps(ready), flush=True)
    try:
        _wait_until_orphaned(parent)
    except KeyboardInterrupt:
        return 130
    finally:
        server.stop()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo")
    serve = parser.add_subparsers(required=True, metavar="serve").add_parser("serve")
    serve.add_argument("--port", type=int, default=0, help="default: any free port")
    serve.add_argument("--jsonl", type=Path, help="serve this file instead of the organisation")
    serve.add_argument("--seed", type=int, default=7)
    serve.add_argument("--pull-requests", type=int, default=6000)
    serve.add_argument(
        "--end",
        type=instant,
        default=END,
        help="the organisation's end (ISO 8601 with a time zone)",
    )
    serve.add_argument("--token", default=TOKEN)
    serve.add_argument("--teams-out", type=Path, help="write the team configuration here")
    return parser.parse_args(arguments)


def _wait_until_orphaned(parent: int) -> None:
    mode = os.fstat(sys.stdin.fileno()).st_mode
    # A terminal, a file or /dev/null on stdin does not show whether the parent still runs.
    pipes = [sys.stdin] if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else []
    while os.getppid() == parent:
        readable, _, _ = select.select(pipes, [], [], POLL_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return


if __name__ == "__main__":
    sys.exit(main())
