"""An answer in the form that was asked for, JSON or CSV; not at all where the caller has it."""

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from api.auth import Reader
from api.database import FromMarts, Marts
from api.problems import expect_known_parameters
from api.response_cache import Answer, Kept
from dora.api_keys import ApiKey

JSON, CSV = "application/json", "text/csv"
# Whoever keeps an answer asks each time whether it still holds, which costs one small query.
CACHE = "private, no-cache"
VARY = "Accept, X-API-Key"
GZIP_FROM_BYTES = 1000
# A tenth larger than at level 9, in a third of its time (a page of 1,000 pull requests).
GZIP_LEVEL = 4
_COMPRESSED = {"Content-Encoding": "gzip", "Vary": f"{VARY}, Accept-Encoding"}
# Raise it when answers change outside their columns, so that callers drop what they kept.
_SHAPE = 2
# What a spreadsheet would take for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


Days = tuple[date | None, date | None]
"""The first and the last day that an answer covers, as its `from` and `to` say; None is open."""


class Found(NamedTuple):
    """An answer as JSON and the build that it is of; `rows` gives what is written as CSV."""

    build_id: str
    text: str
    rows: Callable[[], Iterable[Mapping[str, Any]]]
    next_cursor: str | None = None
    days: Days | None = None


class Replies:
    """Answers one request, which was made with this key."""

    def __init__(self, request: Request, reader: ApiKey, marts: Marts) -> None:
        self.reader = reader
        self.marts = marts
        self._request = request
        self._kept: Kept = request.app.state.kept
        self.is_csv = prefers_csv(request.headers.get("accept", ""))
        # As the middleware has it that compresses what is not kept.
        self._takes_gzip = "gzip" in request.headers.get("accept-encoding", "")

    def reply(self, columns: Collection[str], find: Callable[[], Found]) -> Response:
        """Answer with what `find` finds, in these columns; 304 if the caller has it already."""
        expect_known_parameters(self._request)
        known = self._request.headers.get("if-none-match", "")
        answer = None
        # Where the caller has nothing, and nothing was kept of the build that the newest answer is
        # of, it is looked up without asking first which build there is.
        if known or self._kept.get(self._tag(self._kept.newest, columns)) is not None:
            tag = self._tag(self.marts.build_id(), columns)
            if known.strip() == "*" or tag in re.findall(r'"[^"]*"', known):
                return Response(status_code=304, headers=_headers(tag))
            answer = self._kept.get(tag)
        if answer is None:
            found = find()
            # Of a newer build, where one has ended meanwhile.
            tag = self._tag(found.build_id, columns)
            answer = self._answer(found, columns, tag)
            self._kept.put(tag, answer, found.build_id)
        if answer.compressed is not None and self._takes_gzip:
            return Response(answer.compressed, headers=answer.headers | _COMPRESSED)
        return Response(answer.body, headers=answer.headers)

    def _answer(self, found: Found, columns: Collection[str], tag: str) -> Answer:
        headers = _headers(tag)
        if found.next_cursor is not None:
            headers["Link"] = self._link(found.next_cursor)
        if found.days is not None:
            headers["X-Period"] = "/".join(str(day or "..") for day in found.days)
        if self.is_csv:
            text = to_csv(columns, found.rows())
            headers["Content-Type"] = f"{CSV}; charset=utf-8; header=present"
        else:
            text = found.text
            headers["Content-Type"] = JSON
        body = text.encode()
        is_worth_it = len(body) >= GZIP_FROM_BYTES
        return Answer(
            body, headers, gzip.compress(body, GZIP_LEVEL, mtime=0) if is_worth_it else None
        )

    def _tag(self, build_id: str, columns: Collection[str]) -> str:
        """A digest of all that the answer depends on: the marts of one build stay as they are."""
        teams = self.reader.teams
        parts = [
            build_id,
            self._request.scope["path"],
            self._request.scope["query_string"].decode("latin-1"),
            CSV if self.is_csv else JSON,
            None if teams is None else sorted(teams),
            # Another release may show other columns of the same build.
            list(columns),
            _SHAPE,
        ]
        return f'"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"'

    def _link(self, cursor: str) -> str:
        """The next page, for readers of CSV too (RFC 8288)."""
        given = self._request.query_params.multi_items()
        others = [(name, value) for name, value in given if name != "cursor"]
        query = urlencode([*others, ("cursor", cursor)])
        return f'<{quote(self._request.scope["path"])}?{query}>; rel="next"'


def _headers(tag: str) -> dict[str, str]:
    # Weak: compressed or not, it is the same answer.
    return {"ETag": f"W/{tag}", "Cache-Control": CACHE, "Vary": VARY}


async def replies(request: Request, reader: Reader, marts: FromMarts) -> Replies:
    """Dependency: how this request is answered."""
    return Replies(request, reader, marts)


Reply = Annotated[Replies, Depends(replies)]


def prefers_csv(accept: str) -> bool:
    """Whether an `Accept` header ranks CSV above JSON (RFC 9110, 12.5.1).

    Of two that it likes as well, the one that it names.
    """
    liked = _quality(accept, CSV)
    return liked[0] > 0 and liked > _quality(accept, JSON)


def _quality(accept: str, media_type: str) -> tuple[float, int]:
    """The weight of a type, and how exactly the header names it."""
    ranges = {media_type: 2, media_type.partition("/")[0] + "/*": 1, "*/*": 0}
    best = (-1, 0.0)
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name in ranges:
            weights = [each[2:] for each in parameters if each.startswith("q=")]
            best = max(best, (ranges[name], _weight(weights[0]) if weights else 1.0))
    exactness, weight = best
    return weight, exactness


def _weight(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.[0-9]{0,3})?", text) else 0.0


def found_rows(
    build_id: str,
    head: BaseModel,
    data: str,
    next_cursor: str | None = None,
    days: Days | None = None,
    **same: str,
) -> Found:
    """An answer of one `head` and of rows, which are a JSON array already.

    As CSV each row has the columns `same` too: the head is not in it.
    """
    more = {} if next_cursor is None else {"next_cursor": json.dumps(next_cursor)}
    text = spliced(head, data=data, **more)
    return Found(
        build_id, text, lambda: [same | row for row in json.loads(data)], next_cursor, days
    )


def spliced(head: BaseModel, **members: str) -> str:
    """The JSON of `head`, followed by members whose values are JSON already."""
    more = "".join(f',"{name}":{value}' for name, value in members.items())
    return f"{head.model_dump_json()[:-1]}{more}}}"


def to_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows under a line of their columns (RFC 4180): null is empty, a list has `; ` between.

    A text that a spreadsheet would take for a formula begins with an apostrophe: whoever may open
    a pull request chooses its title.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    names = list(columns)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    return file.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        value = "; ".join(_item(each) for each in value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _item(value: Any) -> str:
    """One of a list as text: `octocat 0.5`, or `bug`."""
    values = value.values() if isinstance(value, dict) else [value]
    return " ".join(str(_cell(each)) for each in values if each is not None)
