"""Callers of an HTTP server: each sends its next request after a response, on an open connection.

If the request contains `DAY`, each request replaces it with a different day, far in the future, so
that its response cannot be cached. Run as a module in a separate process, it prints the
milliseconds of every response as JSON.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import date

WARM_SECONDS = 0.5
DAY = "{day}"
FIRST_DAY = date(4000, 1, 1).toordinal()
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class _Caller(asyncio.Protocol):
    def __init__(
        self, requests: Iterator[bytes], status: int, taken: list[tuple[float, float]]
    ) -> None:
        self._requests = requests
        self._status = b"HTTP/1.1 %d " % status
        self._taken = taken
        self._buffer = bytearray()
        self._whole: int | None = None
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._whole is None and (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            assert self._buffer.startswith(self._status), bytes(self._buffer[:1000])
            length = _LENGTH.search(self._buffer, 0, head + 2)
            self._whole = head + 4 + (int(length[1]) if length else 0)
        if self._whole is not None and len(self._buffer) >= self._whole:
            self._taken.append((self._began, time.perf_counter() - self._began))
            self._ask()

    def _ask(self) -> None:
        self._buffer.clear()
        self._whole = None
        request = next(self._requests)
        self._began = time.perf_counter()
        self._transport.write(request)


async def call(port: int, request: bytes, status: int, callers: int, seconds: float) -> list[float]:
    """Return the milliseconds of each response to the requests sent within `seconds`."""
    taken: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()
    warm = time.perf_counter() + WARM_SECONDS
    days = (str(date.fromordinal(number)) for number in itertools.count(FIRST_DAY))
    requests = (request.replace(DAY.encode(), day.encode()) for day in days)
    made = [
        await loop.create_connection(lambda: _Caller(requests, status, taken), "127.0.0.1", port)
        for _ in range(callers)
    ]
    await asyncio.sleep(WARM_SECONDS + seconds)
    for transport, _ in made:
        transport.close()
    return [each * 1e3 for began, each in taken if began >= warm]


def main() -> None:
    """Run `call` with the arguments in the JSON of the command line."""
    asked = json.loads(sys.argv[1])
    asked["request"] = asked["request"].encode()
    json.dump(asyncio.run(call(**asked)), sys.stdout)


if __name__ == "__main__":
    main()
