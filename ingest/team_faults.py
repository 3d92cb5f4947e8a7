"""Describes the faults that pydantic finds in teams and members."""

from typing import Any

# Plain messages for faults that pydantic finds.
_PLAIN = {
    "decimal_parsing": "should be a decimal number, such as 0.5",
    "extra_forbidden": "no such field",
    "greater_than_equal": "should be from 0.00 to 1.00",
    "less_than_equal": "should be from 0.00 to 1.00",
    "list_type": "should be a list",
    "model_type": "should be an object",
    "missing": "is missing",
    "string_pattern_mismatch": "is not a GitHub login: use letters, digits and hyphens, no @",
    "string_too_short": "should not be empty",
    "string_type": "should be a text",
    "too_short": "should contain at least one team",
}


def in_words(fault: Any, document: Any) -> str:
    """Describe a fault; name the team and the member instead of their positions."""
    place, node = [], document
    for step in fault["loc"]:
        node = node[step] if _has(node, step) else None
        label = None
        if isinstance(node, dict) and isinstance(step, int):
            names = ("github_username", "path", "id", "name")
            label = next((node[name] for name in names if node.get(name)), None)
        place.append(str(label or step))
    message = message_of(fault)
    return f"{' > '.join(place)}: {message}" if place else message


def message_of(fault: Any) -> str:
    """Return the plain message of a fault, with the value."""
    message = _PLAIN.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
    value = fault["input"]
    shown = f" (it is {value!r})" if isinstance(value, str | int | float | None) else ""
    return f"{message}{shown}"


def _has(node: Any, step: Any) -> bool:
    if isinstance(node, dict):
        return step in node
    return isinstance(node, list) and isinstance(step, int) and step < len(node)
