"""The demo's part of the schema, and every query, compared with GitHub's real schema."""

import gzip
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLSchema,
    build_schema,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_introspection_type,
    is_object_type,
    is_required_argument,
    is_required_input_field,
    is_specified_scalar_type,
    is_union_type,
    parse,
    print_ast,
    validate,
)

from demo.schema import github_schema
from ingest.github import queries

# Written by fetch_github_schema.py.
SCHEMA = Path(__file__).with_name("github_schema.graphql.gz")
OPERATIONS = sorted(
    path.name.removesuffix(".graphql")
    for path in files(queries).iterdir()
    if path.name.endswith(".graphql") and path.name != "fragments.graphql"
)


@pytest.fixture(scope="session")
def real_schema() -> GraphQLSchema:
    text = gzip.decompress(SCHEMA.read_bytes()).decode()
    return build_schema(text, assume_valid=True, assume_valid_sdl=True)


def test_every_type_of_the_demo_equals_githubs(real_schema: GraphQLSchema) -> None:
    assert list(differences(github_schema(), real_schema)) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_query_is_valid_on_github_and_on_the_demo(name: str, real_schema: GraphQLSchema) -> None:
    document = parse(queries.document(name))
    assert validate(real_schema, document) == []
    assert validate(github_schema(), document) == []


def test_resolving_a_hundred_names_at_once_is_valid(real_schema: GraphQLSchema) -> None:
    document = parse(queries.resolve_document(100))
    assert validate(real_schema, document) == []
    assert validate(github_schema(), document) == []


def test_follow_up_pages_of_many_pull_requests_are_valid(real_schema: GraphQLSchema) -> None:
    document = parse(queries.details_document(["reviews", "labels", "timelineItems", "files"] * 20))
    assert validate(real_schema, document) == []
    assert validate(github_schema(), document) == []


@pytest.mark.parametrize("kind", ["deployments", "releases", "tags"])
def test_a_query_for_ids_only_is_valid(kind: str, real_schema: GraphQLSchema) -> None:
    document = parse(queries.ids_document(kind))
    assert validate(real_schema, document) == []
    assert validate(github_schema(), document) == []


def test_histories_of_many_commits_are_valid(real_schema: GraphQLSchema) -> None:
    document = parse(queries.commits_document(100))
    assert validate(real_schema, document) == []
    assert validate(github_schema(), document) == []


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ("type Query { a: Int! }", "Query.a is Int!, not Int"),
        ("type Query { a: Int, b: Int }", "Query.b is not GitHub's"),
        ("type Query { a: Int, c: Int }", "Query.c lacks the argument of"),
        ("type Query { a: Int, c(of: Int!, by: Int): Int }", "Query.c(by) is not GitHub's"),
        ("type Query { a: Int, c(of: Int! = 2): Int }", "Query.c(of) is Int! = 2, not Int!"),
        ("type Query { a: Int } enum E { X Z }", "E.Z is not GitHub's"),
        ("type Query { a: Int } type T { a: Int }", "T is not GitHub's"),
        ("type Query { a: Int } input E { a: Int }", "E is a GraphQLInputObjectType"),
    ],
)
def test_a_difference_to_githubs_schema_is_reported(ours: str, said: str) -> None:
    real = build_schema("type Query { a: Int, c(of: Int!, or: Int): Int } enum E { X Y }")
    told = list(differences(build_schema(ours, assume_valid=True), real))
    assert len(told) == 1
    assert told[0].startswith(said)


def differences(ours: GraphQLSchema, real: GraphQLSchema) -> Iterator[str]:
    """Yield each part of our schema that is different or missing in GitHub's."""
    for name, type in ours.type_map.items():
        other: Any = real.type_map.get(name)
        if is_introspection_type(type) or is_specified_scalar_type(type):
            continue
        if other is None:
            yield f"{name} is not GitHub's"
        elif other.__class__ is not type.__class__:
            yield f"{name} is a {type.__class__.__name__}, not a {other.__class__.__name__}"
        elif is_object_type(type) or is_interface_type(type):
            yield from _missing(name, type.interfaces, other.interfaces)
            yield from _field_differences(type, other)
        elif is_union_type(type):
            yield from _missing(name, type.types, other.types)
        elif is_enum_type(type):
            yield from _missing(name, type.values, other.values)
        elif is_input_object_type(type):
            yield from _value_differences(name + ".{}", type.fields, other.fields)
            for field, definition in other.fields.items():
                if is_required_input_field(definition) and field not in type.fields:
                    yield f"{name} lacks {field}"


def _missing(name: str, ours: Any, real: Any) -> Iterator[str]:
    for value in map(str, ours):
        if value not in map(str, real):
            yield f"{name}.{value} is not GitHub's"


def _field_differences(ours: Any, real: Any) -> Iterator[str]:
    for field, definition in ours.fields.items():
        other = real.fields.get(field)
        if other is None:
            yield f"{ours}.{field} is not GitHub's"
            continue
        if str(definition.type) != str(other.type):
            yield f"{ours}.{field} is {definition.type}, not {other.type}"
        yield from _value_differences(f"{ours}.{field}({{}})", definition.args, other.args)
        for argument, needed in other.args.items():
            if is_required_argument(needed) and argument not in definition.args:
                yield f"{ours}.{field} lacks the argument {argument}"


def _value_differences(name: str, ours: Any, real: Any) -> Iterator[str]:
    for key, value in ours.items():
        if key not in real:
            yield f"{name.format(key)} is not GitHub's"
        elif _declared(value) != _declared(real[key]):
            yield f"{name.format(key)} is {_declared(value)}, not {_declared(real[key])}"


def _declared(value: Any) -> str:
    default = value.ast_node.default_value
    return f"{value.type} = {print_ast(default)}" if default else str(value.type)
