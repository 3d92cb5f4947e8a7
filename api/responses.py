"""Builds responses as JSON or CSV, or 304 if the client's copy is current."""

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
from api.response_cache import Answer, ResponseCache
from dora.api_keys import ApiKey

JSON, CSV = "application/json", "text/csv"
# Clients revalidate a cached response each time, which costs one small query.
CACHE = "private, no-cache"
VARY = "Accept, X-API-Key"
GZIP_FROM_BYTES = 1000
# 10 % larger than at level 9, in a third of the time (a page of 1,000 pull requests).
GZIP_LEVEL = 4
_COMPRESSED = {"Content-Encoding": "gzip", "Vary": f"{VARY}, Accept-Encoding"}
# Increase it if responses change outside their columns, so that clients drop cached responses.
_SHAPE = 2
# A spreadsheet treats text with one of these prefixes as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


Days = tuple[date | None, date | None]
"""The first and the last day that a response covers (`from` and `to`); None means open."""


class Found(NamedTuple):
    """A response as JSON, and the id of its build; `rows` returns the rows for CSV."""

    build_id: str
    text: str
    rows: Callable[[], Iterable[Mapping[str, Any]]]
    next_cursor: str | None = None
    days: Days | None = None


class Replies:
    """Responds to one request, which was made with this API key."""

    def __init__(self, request: Request, reader: ApiKey, marts: Marts) -> None:
        self.reader = reader
        self.marts = marts
        self._request = request
        self._cache: ResponseCache = request.app.state.cache
        self.is_csv = prefers_csv(request.headers.get("accept", ""))
        # The same test as in GZipMiddleware, which compresses responses that are not cached.
        self._takes_gzip = "gzip" in request.headers.get("accept-encoding", "")

    def reply(self, columns: Collection[str], find: Callable[[], Found]) -> Response:
        """Respond with the result of `find` in these columns, or 304 if the client has it."""
        expect_known_parameters(self._request)
        known = self._request.headers.get("if-none-match", "")
        answer = None
        # If neither the client nor the cache has this response for the newest known build, `find`
        # runs without a query for the current build first.
        if known or self._cache.get(self._tag(self._cache.newest, columns)) is not None:
            tag = self._tag(self.marts.build_id(), columns)
            if known.strip() == "*" or tag in re.findall(r'"[^"]*"', known):
                return Response(status_code=304, headers=_headers(tag))
            answer = self._cache.get(tag)
        if answer is None:
            found = find()
            # A newer build may have been published meanwhile.
            tag = self._tag(found.build_id, columns)
            answer = self._answer(found, columns, tag)
            self._cache.put(tag, answer, found.build_id)
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
        """Return a digest of all inputs of the response; the marts of a build do not change."""
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
        """Return the link to the next page (RFC 8288), which CSV clients can use as well."""
        given = self._request.query_params.multi_items()
        others = [(name, value) for name, value in given if name != "cursor"]
        query = urlencode([*others, ("cursor", cursor)])
        return f'<{quote(self._request.scope["path"])}?{query}>; rel="next"'


def _headers(tag: str) -> dict[str, str]:
    # Weak, because the compressed and the plain response have the same tag.
    return {"ETag": f"W/{tag}", "Cache-Control": CACHE, "Vary": VARY}


async def replies(request: Request, reader: Reader, marts: FromMarts) -> Replies:
    """Dependency: responds to this request."""
    return Replies(request, reader, marts)


Reply = Annotated[Replies, Depends(replies)]


def prefers_csv(accept: str) -> bool:
    """Whether an `Accept` header ranks CSV above JSON (RFC 9110, 12.5.1).

    If both have the same weight, the more exactly named type ranks higher.
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
    summary: str | None = None,
    **same: str,
) -> Found:
    """Build a response from `head` and `data`, a JSON array of rows; `summary` is JSON too.

    CSV has no head, so each of its rows also has the columns `same`.
    """
    members = {} if summary is None else {"summary": summary}
    members["data"] = data
    if next_cursor is not None:
        members["next_cursor"] = json.dumps(next_cursor)
    text = spliced(head, **members)
    return Found(
        build_id, text, lambda: [same | row for row in json.loads(data)], next_cursor, days
    )


def spliced(head: BaseModel, **members: str) -> str:
    """Return `head` as JSON, followed by `members`, whose values are JSON texts."""
    more = "".join(f',"{name}":{value}' for name, value in members.items())
    return f"{head.model_dump_json()[:-1]}{more}}}"


def to_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Format rows as CSV with a header (RFC 4180). Null is empty; `; ` separates list items.

    Text that a spreadsheet would treat as a formula gets an apostrophe in front: anyone who opens
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
    """Format a list item: `octocat 0.5`, or `bug`."""
    values = value.values() if isinstance(value, dict) else [value]
    return " ".join(str(_cell(each)) for each in values if each is not None)
