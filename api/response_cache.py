"""Answers that were made already: those of one build stay as they are."""

import threading
from collections import OrderedDict
from typing import NamedTuple

# Of all bodies together; a Lambda function keeps its own between two requests.
MOST_BYTES = 16 * 1024 * 1024


class Answer(NamedTuple):
    """What a caller gets: the body, its headers, and where that is worth it the body gzipped."""

    body: bytes
    headers: dict[str, str]
    compressed: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.body) + len(self.compressed or b"")


class Kept:
    """The newest answers by their tags, which name all that an answer depends on.

    At most `most_bytes` of them; the one that was asked for the longest ago goes first. `newest` is
    the build that the last one to come is of.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.newest = ""
        self._most = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, tag: str) -> Answer | None:
        with self._lock:
            found = self._answers.get(tag)
            if found is not None:
                self._answers.move_to_end(tag)
            return found

    def put(self, tag: str, answer: Answer, build_id: str) -> None:
        with self._lock:
            self.newest = build_id
            before = self._answers.pop(tag, None)
            self._bytes += answer.size - (before.size if before else 0)
            self._answers[tag] = answer
            while self._bytes > self._most:
                _, oldest = self._answers.popitem(last=False)
                self._bytes -= oldest.size
