"""Regular expressions with the same meaning in Python and in Postgres.

Both apply the rules of `DEPLOYMENTS`: the ingest to find the commits it needs, dbt to find the
deployments. Postgres: https://www.postgresql.org/docs/current/functions-matching.html
"""

import re
from typing import Annotated

from pydantic import AfterValidator

# The escapes with one meaning. `\\b` is a word boundary in Python, a backspace in Postgres.
_ESCAPES = set("dDwWsSAZntrfv")
# Postgres refuses the other escapes in brackets.
_CLASS_ESCAPES = set("dwsntrfv")
_TOKEN = re.compile(
    r"""
    (?P<escape>\\.)
    | (?P<bracket>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<group>\(\?(?:P?<[A-Za-z_]\w*>|<?[=!]|P[=>]|[^)]?))
    | (?P<quantifier>[*+?]|\{[^}]*\}?)
    | (?P<anchor>[\^$])
    | (?P<plain>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
# Postgres allows no more repeats.
_MOST_REPEATS = 255
_GROUPS = {
    "(?=": "lookahead",
    "(?!": "lookahead",
    "(?<=": "lookbehind",
    "(?<!": "lookbehind",
    "(?P=": "a backreference",
    "(?>": "an atomic group",
    "(?#": "a comment",
    "(?(": "a condition",
}


def _portable(pattern: str) -> str:
    """Return the pattern; raise `ValueError` if it differs between Python and Postgres."""
    if not pattern:
        raise ValueError("should not be empty")
    before = ""
    for token in _TOKEN.finditer(pattern):
        kind, text = str(token.lastgroup), token.group()
        if kind == "quantifier":
            _check_quantifier(text, before)
            # `+?` is a single, non-greedy quantifier; a third character would be another one.
            is_lazy = text == "?" and before == "quantifier"
            before = "lazy" if is_lazy else "quantifier"
            continue
        _check(kind, text)
        before = kind
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a valid regular expression: {error}") from None
    return pattern


def _check(kind: str, text: str) -> None:
    if kind == "escape" and text[1].isdigit() and text[1] != "0":
        raise ValueError(f"uses a backreference ({text}), which is not supported")
    if kind == "escape" and text[1].isalnum() and text[1] not in _ESCAPES:
        raise ValueError(f"uses {text}, which Python and Postgres read differently")
    if kind == "group" and text != "(?:":
        name = _GROUPS.get(text) or ("a named group" if "<" in text else "an option or extension")
        raise ValueError(f"uses {name} ({text}), which is not supported")
    if kind == "bracket":
        _check_bracket(text)


def _check_bracket(text: str) -> None:
    if any(opening in text[1:] for opening in ("[:", "[.", "[=")):
        raise ValueError(f"uses a POSIX class in {text}, which Python does not know; write [a-z]")
    if any(twice in text for twice in ("--", "&&", "||", "~~")):
        raise ValueError(f"has a doubled operator in {text}; name each character once")
    for escaped in re.findall(r"\\(.)", text, re.DOTALL):
        if escaped.isalnum() and escaped not in _CLASS_ESCAPES:
            raise ValueError(f"uses \\{escaped} in {text}, which Postgres reads differently")


def _check_quantifier(text: str, before: str) -> None:
    if before == "lazy" or (before == "quantifier" and text != "?"):
        raise ValueError(f"has the quantifier {text} after another one")
    if before == "anchor":
        raise ValueError(f"repeats ^ or $ with {text}, which Postgres refuses")
    if text.startswith("{"):
        counted = _COUNTED.fullmatch(text)
        if counted is None:
            raise ValueError(f"has {text!r}, which is not a repeat count; write {{2,5}} or \\{{")
        if max(int(number) for number in counted.groups() if number) > _MOST_REPEATS:
            raise ValueError(f"repeats something more than {_MOST_REPEATS} times ({text})")


Pattern = Annotated[str, AfterValidator(_portable)]
