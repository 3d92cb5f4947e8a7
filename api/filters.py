"""`repository`, `label` and `base`: filters of pull requests, for figures and lists."""

from typing import Annotated, LiteralString, NamedTuple

from fastapi import Depends, Query

from api.schemas import storable

MOST_NAMES = 50
_SAME = "Repeat it for several; a pull request that has any of them is included."

# A condition on `fct_pull_requests`.
CONDITION: LiteralString = """
    (
        %(repositories)s::text[] is null
        or fct_pull_requests.repository = any(%(repositories)s::text[])
    )
    and (%(labels)s::text[] is null or fct_pull_requests.labels ?| %(labels)s::text[])
    and (%(bases)s::text[] is null or fct_pull_requests.base_ref = any(%(bases)s::text[]))
"""


class Filters(NamedTuple):
    """Names that pull requests must have; None means any."""

    repositories: list[str] | None = None
    labels: list[str] | None = None
    bases: list[str] | None = None


async def filters(
    repository: Annotated[
        list[str],
        Query(
            max_length=MOST_NAMES,
            default_factory=list,
            description=f"Only pull requests of this repository, `owner/name`. {_SAME}",
        ),
    ],
    label: Annotated[
        list[str],
        Query(
            max_length=MOST_NAMES,
            default_factory=list,
            description=f"Only pull requests with this label. {_SAME}",
        ),
    ],
    base: Annotated[
        list[str],
        Query(
            max_length=MOST_NAMES,
            default_factory=list,
            description=f"Only pull requests into this branch. {_SAME}",
        ),
    ],
) -> Filters:
    """Dependency: the filters. All that are given must apply."""
    return Filters(_names(repository), _names(label), _names(base))


def _names(given: list[str]) -> list[str] | None:
    names = [name for name in map(storable, given) if name is not None]
    return names if given else None


InFilters = Annotated[Filters, Depends(filters)]
