"""The GraphQL documents: each operation with just the fragments that it uses."""

import re
from functools import cache
from importlib.resources import files

_SPREAD = re.compile(r"\.\.\.\s*([A-Z]\w+)")
_FRAGMENT = re.compile(r"^fragment (\w+) on .*?^\}$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)
_INDENT = re.compile(r"\s+")


@cache
def _read(name: str) -> str:
    return _COMMENT.sub("", files(__name__).joinpath(f"{name}.graphql").read_text("utf-8"))


def _with_fragments(text: str) -> str:
    library = {found[1]: found[0] for found in _FRAGMENT.finditer(_read("fragments"))}
    used: dict[str, str] = {}
    wanted = _SPREAD.findall(text)
    while wanted:
        name = wanted.pop()
        if name in library and name not in used:
            used[name] = library[name]
            wanted += _SPREAD.findall(library[name])
    return _INDENT.sub(" ", "\n".join([text, *used.values()])).strip()


@cache
def document(name: str) -> str:
    """Return the document of `queries/NAME.graphql`, in one line."""
    return _with_fragments(_read(name))


@cache
def resolve_document(count: int) -> str:
    """Return `resolve.graphql` for `count` names: aliases `r0`…, variables `$o0`, `$n0`…."""
    body = _read("resolve")
    selection = body[body.index("repository(") : body.rindex("}")]
    parameters = ", ".join(f"$o{i}: String!, $n{i}: String!" for i in range(count))
    fields = " ".join(
        f"r{i}: " + selection.replace("$owner", f"$o{i}").replace("$name", f"$n{i}")
        for i in range(count)
    )
    return _with_fragments(f"query Resolve({parameters}) {{ rateLimit {{ ...Quota }} {fields} }}")
