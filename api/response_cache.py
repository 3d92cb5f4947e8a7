"""Caches responses; the responses of one build do not change."""

import threading
from typing import NamedTuple

from cachetools import LRUCache

# The total of all bodies. A Lambda function keeps its cache between two requests.
MOST_BYTES = 16 * 1024 * 1024


class Answer(NamedTuple):
    """A response: the body, its headers, and the body gzipped if it is large enough."""

    body: bytes
    headers: dict[str, str]
    compressed: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.body) + len(self.compressed or b"")


class ResponseCache:
    """The most recently used responses by tag, at most `most_bytes` of them.

    A tag identifies everything that a response depends on. `newest` is the build id of the response
    that was added last.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.newest = ""
        self._answers: LRUCache[str, Answer] = LRUCache(most_bytes, lambda answer: answer.size)
        self._lock = threading.Lock()

    def get(self, tag: str) -> Answer | None:
        with self._lock:
            return self._answers.get(tag)

    def put(self, tag: str, answer: Answer, build_id: str) -> None:
        with self._lock:
            self.newest = build_id
            if answer.size <= self._answers.maxsize:
                self._answers[tag] = answer
