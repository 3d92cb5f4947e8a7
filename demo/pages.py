"""Connections: opaque keyset cursors, and the page after a cursor."""

import base64
import bisect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

PREFIX = "cursor:v2:"


class Refusal(Exception):
    """An error with GitHub's wording; `type`, if there is one, is a key beside `message`."""

    def __init__(self, type: str | None, message: str, **extensions: object) -> None:
        super().__init__(message)
        self.type = type
        self.extensions = extensions


@dataclass(slots=True)
class Page:
    """One page of a connection, with its `pageInfo`."""

    nodes: Sequence[Any]
    total_count: int
    end_cursor: str | None
    has_next_page: bool

    @property
    def page_info(self) -> "Page":
        return self

    @property
    def filtered_count(self) -> int:
        return self.total_count


def encode(key: Sequence[object]) -> str:
    return base64.b64encode((PREFIX + json.dumps(list(key))).encode()).decode()


def decode(cursor: str, width: int) -> tuple[Any, ...]:
    """Return the key of a cursor; raise INVALID_CURSOR_ARGUMENTS if `encode` did not make it."""
    try:
        text = base64.b64decode(cursor, validate=True).decode()
        key = json.loads(text.removeprefix(PREFIX))
    except ValueError:
        _refuse(cursor)
    if not text.startswith(PREFIX) or not isinstance(key, list) or len(key) != width:
        _refuse(cursor)
    return tuple(key)


def _refuse(cursor: str) -> NoReturn:
    raise Refusal(
        "INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor."
    ) from None


def page_of_keys(
    keys: Sequence[tuple[Any, ...]], first: int, after: str | None, descending: bool
) -> tuple[list[tuple[Any, ...]], Page]:
    """Return the next `first` of ascending `keys`, and a page without nodes.

    A cursor is a position in the order, not an item: items that move away before or after it do
    not shift the pages.
    """
    place = decode(after, len(keys[0]) if keys else 2) if after else None
    if descending:
        end = len(keys) if place is None else bisect.bisect_left(keys, place)
        start = max(0, end - first)
        taken = list(reversed(keys[start:end]))
        has_next = start > 0
    else:
        start = 0 if place is None else bisect.bisect_right(keys, place)
        taken = list(keys[start : start + first])
        has_next = start + first < len(keys)
    return taken, Page((), len(keys), encode(taken[-1]) if taken else None, has_next)


def page_of_items(items: Sequence[Any], first: int, after: str | None) -> Page:
    """Return the next `first` of items in ascending `position`."""
    start = 0
    if after:
        start = bisect.bisect_right(items, decode(after, 1)[0], key=lambda item: item.position)
    taken = items[start : start + first]
    cursor = encode((taken[-1].position,)) if taken else None
    return Page(taken, len(items), cursor, start + first < len(items))
