"""An additional check for schemathesis, which imports this file."""

from typing import Any

import schemathesis


@schemathesis.check
def valid_is_refused_only_where_openapi_cannot_say_why(ctx: Any, response: Any, case: Any) -> None:
    """OpenAPI cannot express that `from` precedes `to`, or that a cursor comes from the API."""
    if response.status_code != 422 or not case.meta.generation.mode.is_positive:
        return
    query = case.query or {}
    is_wrong_way_round = str(query.get("from", "")) > str(query.get("to", "9"))
    assert is_wrong_way_round or "cursor" in query, response.text
