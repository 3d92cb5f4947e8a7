"""Questions about many things by their ids: as many at once as GitHub can answer."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ingest.github.client import GitHub, Render
from ingest.github.errors import Unanswerable
from ingest.github.responses import Answer
from ingest.github.sizes import Sizes


async def in_parts(
    github: GitHub,
    name: str,
    ids: Sequence[str],
    sizes: Sizes,
    variables: Mapping[str, Any] | None = None,
    render: Render | None = None,
) -> AsyncIterator[tuple[list[str], Answer | Unanswerable]]:
    """Ask for all the ids, part by part; yield each part with its answer.

    What GitHub does not answer, be it asked for alone, is a part of one id with the reason.
    """
    rest = list(ids)
    while rest:
        try:
            answer = await github.query(name, {**(variables or {}), "ids": rest}, sizes, render)
        except Unanswerable as error:
            yield rest[:1], error
            rest = rest[1:]
            continue
        yield rest[: answer.asked], answer
        rest = rest[answer.asked :]
