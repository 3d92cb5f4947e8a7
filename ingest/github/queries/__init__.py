"""The GraphQL documents: each operation with only the fragments that it uses."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

_SPREAD = re.compile(r"\.\.\.\s*([A-Z]\w+)")
_FRAGMENT = re.compile(r"^fragment (\w+) on .*?^\}$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)
_DETAIL = re.compile(r"^  (\w+): ((?:node|repository)\(.*?^  \})$", re.MULTILINE | re.DOTALL)
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
    """Return the document of `queries/NAME.graphql` on one line."""
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


@cache
def ids_document(name: str) -> str:
    """Return `queries/NAME.graphql` with only the ids of the list."""
    text = re.sub(r"(nodes \{\s*)\.\.\.(Deployment|Release|Tag)\b", r"\1id", _read(name))
    return _with_fragments(text.replace(", $statuses: Int!", ""))


@cache
def incident_probe_document(count: int) -> str:
    """Return `incident_probe.graphql` for `count` lists: aliases `c0`…, variables `$owner0`…."""
    selection = _DETAIL.search(_read("incident_probe"))
    assert selection is not None
    parameters, fields = [], []
    for i in range(count):
        parameters.append(f"$owner{i}: String!, $name{i}: String!, $label{i}: String!")
        fields.append(f"c{i}: " + re.sub(r"\$(owner|name|label)\b", rf"$\g<1>{i}", selection[2]))
    return _with_fragments(
        f"query IncidentProbe({', '.join(parameters)}) "
        f"{{ rateLimit {{ ...Quota }} {' '.join(fields)} }}"
    )


@cache
def commits_document(count: int) -> str:
    """Return `commits.graphql` for `count` commits: aliases `c0`…, variables `$id0`, `$oid0`…."""
    selection = _DETAIL.search(_read("commits"))
    assert selection is not None
    parameters, fields = [], []
    for i in range(count):
        parameters.append(f"$id{i}: ID!, $oid{i}: GitObjectID!, $first{i}: Int!, $after{i}: String")
        fields.append(f"c{i}: " + re.sub(r"\$(id|oid|first|after)\b", rf"$\g<1>{i}", selection[2]))
    return _with_fragments(
        f"query Commits($parents: Int!, {', '.join(parameters)}) "
        f"{{ rateLimit {{ ...Quota }} {' '.join(fields)} }}"
    )


def details_document(connections: Sequence[str]) -> str:
    """Return `details.graphql` for these connections: aliases `c0`…, variables `$id0`…."""
    fields = {found[1]: found[2] for found in _DETAIL.finditer(_read("details"))}
    parameters, selections = [], []
    for index, name in enumerate(connections):
        parameters.append(f"$id{index}: ID!, $first{index}: Int!, $after{index}: String")
        selection = re.sub(r"\$(id|first|after)\b", rf"$\g<1>{index}", fields[name])
        selections.append(f"c{index}: {selection}")
    return _with_fragments(
        f"query Details({', '.join(parameters)}) {{ rateLimit {{ ...Quota }} "
        f"{' '.join(selections)} }}"
    )
