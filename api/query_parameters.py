"""Finds unknown and repeated parameters in a query string."""

from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

# The most faults in one response; a query string may hold thousands of names.
MOST_FAULTS = 10
# With a lower cutoff, `format` would match `from`.
_CUTOFF = 0.7
_HINTS = {
    name: "for CSV, send the header Accept: text/csv" for name in ("format", "accept", "output")
}


def query_faults(request: Request) -> list[tuple[str, str]]:
    """Return each parameter that the path does not accept, or that is repeated but allowed once.

    Each is a pair of the name and the fault. The list is empty if no route was found.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return []
    return list(islice(_faults(request, dict(_parameters(route.dependant))), MOST_FAULTS))


def _faults(request: Request, known: dict[str, bool]) -> Iterator[tuple[str, str]]:
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in counts.items():
        if name not in known:
            yield name, f"is unknown; {_advice(name, list(known))}"
        elif count > 1 and not known[name]:
            yield name, f"is given {count} times; give it once"


def _advice(name: str, known: list[str]) -> str:
    if not known:
        return _HINTS.get(name.lower(), "this path takes no parameters")
    nearest = get_close_matches(name.lower(), known, n=1, cutoff=_CUTOFF)
    if nearest:
        return f"did you mean {nearest[0]}?"
    return _HINTS.get(name.lower(), f"this path takes {', '.join(known)}")


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the public name of each query parameter, and whether it may be repeated."""
    for field in dependant.query_params:
        yield field.alias, get_origin(field.field_info.annotation) is list
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)
