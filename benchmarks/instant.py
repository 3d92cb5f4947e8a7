"""A GitHub that answers at once: one repository, whose pages are only formatted strings.

The time of an ingest from it is therefore our own. Run as a module, it prints its address and
serves until its standard input ends.
"""

import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME = "acme/monolith"
START = datetime(2012, 1, 2, 9, tzinfo=UTC)
REVIEWS = 2
_QUOTA = '"rateLimit":{"cost":2,"limit":5000,"remaining":4990,"resetAt":"2036-01-01T00:00:00Z"}'
_REPOSITORY = (
    f'"__typename":"Repository","id":"R_monolith","nameWithOwner":"{NAME}","isArchived":false'
)


def _at(hours: float) -> str:
    return f"{START + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


def _actor(number: int) -> str:
    login = f"dev-{number % 300}"
    return f'{{"__typename":"User","login":"{login}","id":"U_{login}"}}'


def pull_request(number: int) -> str:
    """Return pull request `number` (from 1) as JSON: merged after a day, with `REVIEWS` reviews."""
    reviews = ",".join(
        f'{{"id":"PRR_{number}_{review}","state":"APPROVED",'
        f'"submittedAt":"{_at(number + review + 1)}","author":{_actor(number + review + 1)}}}'
        for review in range(REVIEWS)
    )
    created, merged = _at(number), _at(number + 24)
    return (
        f'{{"id":"PR_{number}","number":{number},"title":"Change no. {number} of the monolith",'
        f'"url":"https://github.com/{NAME}/pull/{number}","state":"MERGED","isDraft":false,'
        f'"createdAt":"{created}","updatedAt":"{merged}","closedAt":"{merged}",'
        f'"mergedAt":"{merged}","additions":{number % 997},"deletions":{number % 101},'
        f'"changedFiles":{number % 31},"baseRefName":"main","headRefName":"topic-{number}",'
        f'"author":{_actor(number)},"mergedBy":{{"__typename":"User","login":"dev-0"}},'
        f'"mergeCommit":{{"oid":"{number:040x}"}},'
        f'"labels":{{"pageInfo":{{"hasNextPage":false,"endCursor":null}},'
        f'"nodes":[{{"name":"bug"}}]}},'
        f'"commits":{{"totalCount":1,"nodes":[{{"commit":{{"authoredDate":"{created}"}}}}]}},'
        f'"reviews":{{"totalCount":{REVIEWS},"pageInfo":{{"hasNextPage":false,"endCursor":null}},'
        f'"nodes":[{reviews}]}},"timelineItems":{{"pageInfo":{{"hasNextPage":false,'
        f'"endCursor":null}},"nodes":[]}}}}'
    )


def answer(operation: str, variables: dict[str, Any], pull_requests: int) -> str:
    """Return GitHub's response to `Resolve`, `Probe` or `Walk` for `pull_requests` in total."""
    newest = f'{{"updatedAt":"{_at(pull_requests + 24)}"}}'
    probed = f'{{{_REPOSITORY},"pullRequests":{{"totalCount":{pull_requests},"nodes":[{newest}]}}}}'
    if operation == "Resolve":
        return f'{{"data":{{{_QUOTA},"r0":{probed}}}}}'
    if operation == "Probe":
        return f'{{"data":{{{_QUOTA},"nodes":[{probed}]}}}}'
    last = int(variables["after"] or pull_requests + 1)
    numbers = range(last - 1, max(0, last - 1 - variables["first"]), -1)
    nodes = ",".join(pull_request(number) for number in numbers)
    info = json.dumps({"hasNextPage": numbers[-1] > 1, "endCursor": str(numbers[-1])})
    return (
        f'{{"data":{{{_QUOTA},"nodes":[{{{_REPOSITORY},"pullRequests":{{'
        f'"totalCount":{pull_requests},"pageInfo":{info},"nodes":[{nodes}]}}}}]}}}}'
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    pull_requests = 0

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        operation = asked["query"].removeprefix("query ").partition("(")[0]
        body = answer(operation, asked["variables"], self.pull_requests).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def main() -> None:
    """Serve the number of pull requests in the argument."""
    _Handler.pull_requests = int(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
