"""Requests for many ids: each with as many as GitHub answers at once."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from ingest.github.client import GitHub, Render
from ingest.github.errors import Unanswerable
from ingest.github.responses import Answer

T = TypeVar("T")


async def in_parts(
    github: GitHub,
    kind: str,
    ids: Sequence[T],
    variables: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    render: Render | None = None,
) -> AsyncIterator[tuple[list[T], Answer | Unanswerable]]:
    """Ask for all ids, part by part; yield each part with its answer.

    An id that GitHub does not answer even alone is yielded alone, with the error. If `variables` is
    a function, it is called for each part.
    """
    rest = list(ids)
    while rest:
        try:
            more = variables() if callable(variables) else variables or {}
            answer = await github.query(kind, {**more, "ids": rest}, render)
        except Unanswerable as error:
            yield rest[:1], error
            rest = rest[1:]
            continue
        yield rest[: answer.asked], answer
        rest = rest[answer.asked :]
