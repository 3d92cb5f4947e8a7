"""Settings that leave out pull requests: by patterns, and by accounts that are automation."""

import json
import re
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from dora.errors import ConfigurationError
from dora.remote_config import read_reference

RULES, AUTOMATION = "PULL_REQUESTS", "AUTOMATION_LOGINS"
_CONDITIONS = ("base", "head", "label", "title")
_LOGIN_PATTERN = re.compile(r"[A-Za-z0-9*?_-]+(\[bot\])?")
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Rule(BaseModel):
    """Excludes the pull requests that match all its patterns (`*` any text, `?` one character)."""

    model_config = ConfigDict(extra="forbid")

    base: Text | None = None
    head: Text | None = None
    label: Text | None = None
    title: Text | None = None
    reason: Text

    @model_validator(mode="after")
    def _has_a_condition(self) -> Self:
        if not any(getattr(self, name) for name in _CONDITIONS):
            raise ValueError("needs at least one of base, head, label and title")
        return self


_Rules = TypeAdapter(list[Rule])


def read_rules(configured: str | None) -> list[Rule]:
    """Parse JSON or the file it refers to; raise `ConfigurationError` with every fault."""
    source, text = RULES, (configured or "").strip()
    if not text:
        return []
    if not text.startswith(("[", "{")):
        source, text = f"{RULES} {text}", read_reference(text, RULES)
    try:
        document = json.loads(text.removeprefix("\ufeff"))
        if "\\u0000" in json.dumps(document):
            raise ConfigurationError(f"{source} contains a NUL, which Postgres cannot store")
        return _Rules.validate_python(document)
    except ValidationError as error:
        raise ConfigurationError(
            [f"{source}: {_fault(fault)}" for fault in error.errors(include_url=False)]
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source} is not valid JSON: {error}") from None


_PLAIN = {
    "extra_forbidden": "no such field; a rule has base, head, label, title and reason",
    "list_type": "should be a JSON array of rules",
    "missing": "is missing",
    "model_type": "should be a JSON object",
    "string_too_short": "should not be empty",
    "string_type": "should be a text",
}


def _fault(fault: Any) -> str:
    number, *field = fault["loc"] or [None]
    place = [f"rule {number + 1}"] if isinstance(number, int) else []
    message = _PLAIN.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
    shown = f" (it is {fault['input']!r})" if isinstance(fault["input"], str | int | float) else ""
    return f"{' > '.join([*place, *map(str, field)])}: {message}{shown}".removeprefix(": ")


def read_automation_logins(configured: str | None) -> list[str]:
    """Split a comma-separated list of patterns; raise `ConfigurationError` with every fault."""
    patterns = [entry for entry in re.split(r"[,\s]+", configured or "") if entry]
    faults = [
        f"{AUTOMATION}: {pattern!r} is not a login or a pattern of logins; use letters, digits, "
        "hyphens, * for any text and ? for one character"
        for pattern in patterns
        if not _LOGIN_PATTERN.fullmatch(pattern)
    ]
    if faults:
        raise ConfigurationError(faults)
    return patterns
