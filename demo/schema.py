"""The GraphQL API: GitHub's schema with resolvers on the store, executed by graphql-core."""

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, cast

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    execute_sync,
    is_introspection_type,
    parse,
    validate,
)

from demo.github import GitHub
from demo.pages import Refusal
from demo.query_cost import MAX_NODES, cost_of, operation_of
from demo.rate_limit import Points
from demo.resolvers import RESOLVERS, Context, Info, Resolver

Answer = dict[str, Any]


@functools.cache
def github_schema() -> GraphQLSchema:
    """Return `schema.graphql` with a resolver on every field."""
    schema = build_schema(resources.files("demo").joinpath("schema.graphql").read_text("utf-8"))
    for type in schema.type_map.values():
        if is_introspection_type(type):
            continue
        if isinstance(type, GraphQLObjectType):
            for name, field in type.fields.items():
                special = RESOLVERS.get((type.name, name)) or RESOLVERS.get(("*", name))
                field.resolve = _permitted(f"{type.name}.{name}", special or _attribute(name))
        elif isinstance(type, GraphQLInterfaceType | GraphQLUnionType):
            type.resolve_type = _type_of
    return schema


def answer(
    github: GitHub, payload: Mapping[str, Any], points: Points, longest: int | None = None
) -> tuple[Answer, int]:
    """Return the body for a GraphQL request, and the points charged for it.

    A request with a longer page or list of ids than `longest` exceeds the resource limits.
    """
    text, name = payload.get("query"), payload.get("operationName")
    variables = payload.get("variables") or {}
    if not isinstance(text, str):
        return _error("A query attribute must be specified and must be a string."), 0
    document = prepare(text)
    if isinstance(document, tuple):
        return {"errors": [_shown(error) for error in document]}, 0
    operation = operation_of(document, name)
    if operation is None:
        return _error(f'No operation named "{name}"' if name else "Which operation?"), 0
    cost = cost_of(document, operation, variables)
    if cost.nodes > MAX_NODES:
        message = (
            f"This query requests up to {cost.nodes:,} possible nodes which exceeds the"
            f" maximum limit of {MAX_NODES:,}."
        )
        return _error(message, "MAX_NODE_LIMIT_EXCEEDED"), 0
    with github.lock:
        rate_limit = points.charge(cost)
        if rate_limit is None:
            return _error("API rate limit exceeded for user ID 1.", "RATE_LIMITED"), 0
        result = execute_sync(
            github_schema(),
            document,
            context_value=Context(github, rate_limit),
            variable_values=dict(variables),
            operation_name=name,
        )
    body: Answer = {"data": result.data}
    if result.errors:
        body["errors"] = [_shown(error) for error in result.errors]
    if longest is not None and cost.longest > longest:
        body = {"data": _half(result.data)} | _error(
            "Resource limits for this query exceeded.", "RESOURCE_LIMITS_EXCEEDED"
        )
    return body, cost.points


def _half(found: Any) -> Any:
    """Return a partial result, as GitHub does at a limit: every second node is null."""
    if isinstance(found, dict):
        return {name: _half(value) for name, value in found.items()}
    if isinstance(found, list):
        return [None if index % 2 else _half(value) for index, value in enumerate(found)]
    return found


def _error(message: str, type: str | None = None) -> Answer:
    return {"errors": [{"type": type, "message": message} if type else {"message": message}]}


def _shown(error: GraphQLError) -> Answer:
    """Return an error in GitHub's form: `type` is a key beside `message`."""
    shown: Answer = {}
    cause = error.original_error
    if isinstance(cause, Refusal):
        if cause.type is not None:
            shown["type"] = cause.type
        if cause.extensions:
            shown["extensions"] = cause.extensions
    if error.path is not None:
        shown["path"] = list(error.path)
    places = error.locations or ()
    shown["locations"] = [{"line": place.line, "column": place.column} for place in places]
    shown["message"] = error.message
    return shown


@functools.lru_cache(maxsize=256)
def prepare(text: str) -> DocumentNode | tuple[GraphQLError, ...]:
    """Return the parsed and validated document, or its errors."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return (error,)
    errors = validate(github_schema(), document)
    return tuple(errors) if errors else document


def _attribute(name: str) -> Resolver:
    attribute = re.sub("([A-Z])", r"_\1", name).lower()
    return lambda source, _info: getattr(source, attribute)


def _permitted(place: str, resolve: Resolver) -> Resolver:
    """Refuse the field with GitHub's message if the token lacks the permission."""

    def checked(source: Any, info: Info, **arguments: Any) -> Any:
        if place in info.context.github.hidden_fields:
            return Refusal("FORBIDDEN", "Resource not accessible by personal access token")
        return resolve(source, info, **arguments)

    return checked


def _type_of(value: Any, _info: Info, _type: object) -> str:
    return cast(str, value.type)
