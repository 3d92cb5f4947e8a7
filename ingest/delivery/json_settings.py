"""Reads JSON settings of the delivery metrics and describes their faults in plain words."""

import json
from typing import Any

from pydantic import ValidationError

from dora.errors import ConfigurationError
from dora.remote_config import read_reference

_PLAIN = {
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "list_type": "should be a JSON array",
    "missing": "is missing",
    "model_type": "should be a JSON object",
    "string_too_short": "should not be empty",
    "string_type": "should be a text",
    "string_pattern_mismatch": "should be owner/name; * stands for any text",
    "too_short": "should not be empty",
}


def read_document(configured: str | None, setting: str) -> tuple[str, Any]:
    """Return the setting's name for messages, and its parsed JSON or None if it is not set.

    `configured` is JSON, or a reference to it. Raises `ConfigurationError`.
    """
    text = (configured or "").strip()
    if not text:
        return setting, None
    source = setting
    if not text.startswith(("[", "{")):
        source, text = f"{setting} {text}", read_reference(text, setting)
    return source, parse_json(text, source)


def parse_json(text: str, source: str) -> Any:
    """Parse JSON; raise `ConfigurationError` if it is invalid or Postgres cannot store it."""
    try:
        document = json.loads(text.removeprefix("\ufeff"))
        written = json.dumps(document, ensure_ascii=False)
        written.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{source} contains half a surrogate pair") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source} is not valid JSON: {error}") from None
    if "\\u0000" in written:
        raise ConfigurationError(f"{source} contains a NUL, which Postgres cannot store")
    return document


def faults_of(error: ValidationError, entry: str, no_such_field: str) -> list[str]:
    """Return one line for each fault; `entry` is the word for an element of the array."""
    return [
        _fault(fault, entry, no_such_field)
        for fault in error.errors(include_url=False, include_context=False)
    ]


def _fault(fault: Any, entry: str, no_such_field: str) -> str:
    number, *fields = fault["loc"] or (None,)
    if isinstance(number, int):
        place = [f"{entry} {number + 1}"]
    else:
        place, fields = [], [name for name in fault["loc"]]
    names = [str(name + 1) if isinstance(name, int) else str(name) for name in fields]
    is_unknown = fault["type"] == "extra_forbidden"
    message = no_such_field if is_unknown else _PLAIN.get(fault["type"])
    message = message or fault["msg"].removeprefix("Value error, ")
    shown = f" (it is {fault['input']!r})" if isinstance(fault["input"], str | int | float) else ""
    return f"{' > '.join([*place, *names])}: {message}{shown}".removeprefix(": ")
