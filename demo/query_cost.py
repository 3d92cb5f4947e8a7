"""The points of a query by GitHub's published formula.

Source: GitHub's documentation, "Rate limits and query limits for the GraphQL API". The score is
the number of requests needed to fulfil each unique connection, assuming that each returns `first`
nodes, divided by 100 and rounded, at least 1. The node count is the sum of the nodes that the
connections may return, at most 500,000. `nodes(ids:)` counts as one parent per id.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    value_from_ast_untyped,
)

MAX_NODES = 500_000
# The connections; they count even if a query only selects their `totalCount`.
CONNECTIONS = {
    *("commits", "labels", "pullRequests", "repositories", "reviews", "timelineItems"),
    *("deployments", "statuses", "releases", "refs", "history", "parents", "issues"),
    *("closedByPullRequestsReferences", "teams", "members", "files"),
}


@dataclass(frozen=True)
class Cost:
    """Points, possible nodes, and the longest requested page or list of ids."""

    points: int
    nodes: int
    longest: int = dataclasses.field(default=0, compare=False)


def operation_of(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    """Return the operation of that name, or the only one."""
    operations = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    if name:
        operations = [node for node in operations if node.name and node.name.value == name]
    return operations[0] if len(operations) == 1 else None


def cost_of(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Cost:
    """Return the cost of a validated operation with these variables."""
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    variables = defaults | dict(variables)
    requests = nodes = longest = 0
    pending: list[tuple[list[SelectionSetNode], int]] = [([operation.selection_set], 1)]
    while pending:
        selections, parents = pending.pop()
        for field, below in _merged(selections, fragments):
            count = parents
            if field.name.value == "nodes" and field.arguments:
                length = _length(field, "ids", variables)
                longest = max(longest, length)
                count *= length
            elif field.name.value in CONNECTIONS:
                requests += parents
                first = max(_number(field, name, variables) for name in ("first", "last"))
                longest = max(longest, first)
                count *= first
                nodes += count
            pending.append((below, count))
    # Halves are rounded up.
    return Cost(max(1, math.floor(requests / 100 + 0.5)), nodes, longest)


def _merged(
    selection_sets: Sequence[SelectionSetNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> list[tuple[FieldNode, list[SelectionSetNode]]]:
    """Return the fields with selections, once per response key, with all their selections."""
    fields: dict[str, tuple[FieldNode, list[SelectionSetNode]]] = {}
    for selection_set in selection_sets:
        for field in fields_of(selection_set, fragments):
            if field.selection_set is not None:
                key = field.alias.value if field.alias else field.name.value
                fields.setdefault(key, (field, []))[1].append(field.selection_set)
    return list(fields.values())


def fields_of(
    selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from fields_of(selection.selection_set, fragments)
        elif isinstance(selection, FragmentSpreadNode):
            yield from fields_of(fragments[selection.name.value].selection_set, fragments)


def _number(field: FieldNode, name: str, variables: Mapping[str, Any]) -> int:
    """Return a page size; 0 for an invalid one, which execution will refuse."""
    value = _argument(field, name, variables)
    return max(0, value) if isinstance(value, int) else 0


def _length(field: FieldNode, name: str, variables: Mapping[str, Any]) -> int:
    value = _argument(field, name, variables)
    return len(value) if isinstance(value, list) else 1


def _argument(field: FieldNode, name: str, variables: Mapping[str, Any]) -> Any:
    for argument in field.arguments or ():
        if argument.name.value == name:
            return value_from_ast_untyped(argument.value, dict(variables))
    return None
