"""Cursors: where a page ended, as text that says nothing to its reader."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import NamedTuple

from api.problems import ParameterError


class Position(NamedTuple):
    """The last row of a page: by its instant, newest first, then by its id."""

    at: datetime
    id: str


def encode(position: Position) -> str:
    text = json.dumps([position.at.astimezone(UTC).isoformat(), position.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str) -> Position:
    """Read what `encode` made. Raises `ParameterError` for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        at, id = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
        position = Position(datetime.fromisoformat(at), id)
        # Exactly what we wrote, and text that Postgres can hold.
        if encode(position) != cursor or "\x00" in id:
            raise ValueError(cursor)
        str.encode(id)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise ParameterError("cursor", "should be the next_cursor of an answer") from None
    return position
