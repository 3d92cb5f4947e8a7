"""Cursors: the position of a page's last row, as opaque text."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import NamedTuple

from api.problems import ParameterError


class Position(NamedTuple):
    """Sort key of a page's last row: its instant, then its id."""

    at: datetime
    id: str


def encode(position: Position) -> str:
    text = json.dumps([position.at.astimezone(UTC).isoformat(), position.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str) -> Position:
    """Decode a cursor made by `encode`. Raises `ParameterError` for any other text."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        at, id = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
        position = Position(datetime.fromisoformat(at), id)
        # Accept only the exact output of `encode`, with text that Postgres can store.
        if encode(position) != cursor or "\x00" in id:
            raise ValueError(cursor)
        str.encode(id)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise ParameterError("cursor", "should be the next_cursor of an earlier response") from None
    return position
