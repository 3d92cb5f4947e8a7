import pytest
from graphql import parse

from demo.query_cost import Cost, cost_of, operation_of
from ingest.github import queries
from ingest.github.adaptive_page_size import PAGE


def cost(text: str, **variables: object) -> Cost:
    document = parse(text)
    operation = operation_of(document, None)
    assert operation is not None
    return cost_of(document, operation, variables)


def test_the_example_in_githubs_documentation_costs_51_points() -> None:
    """1 request for the repositories, 100 below them, 100 times 50 below those: 5,101."""
    text = """{ repositoryOwner(login: "x") { repositories(first: 100) { nodes {
      pullRequests(first: 50) { nodes { labels(first: 60) { nodes { name } } } } } } } }"""
    assert cost(text) == Cost(points=51, nodes=100 + 100 * 50 + 100 * 50 * 60)


@pytest.mark.parametrize(
    ("name", "variables", "points"),
    [
        pytest.param("walk", {"ids": ["R"], "first": PAGE}, 2, id="a whole page"),
        pytest.param("walk", {"ids": ["R"], "first": 25}, 1, id="a page of twenty-five"),
        pytest.param("walk", {"ids": ["R"], "first": 100}, 4, id="a page of a hundred"),
        pytest.param("probe", {"ids": ["R"] * 100}, 1, id="a probe of a hundred"),
    ],
)
def test_points_of_the_products_queries(
    name: str, variables: dict[str, object], points: int
) -> None:
    sizes = {"reviews": 10, "labels": 10, "draftEvents": 5}
    assert cost(queries.document(name), **variables, **sizes).points == points


def test_follow_up_pages_of_a_hundred_connections_are_one_point() -> None:
    document = queries.details_document(["reviews", "labels", "timelineItems", "reviews"] * 25)
    variables = {f"first{index}": 25 for index in range(100)}
    assert cost(document, **variables) == Cost(points=1, nodes=2500)


@pytest.mark.parametrize(
    ("connections", "points"), [(1, 1), (100, 1), (149, 1), (150, 2), (249, 2), (250, 3)]
)
def test_points_are_requests_by_100_rounded_and_at_least_one(connections: int, points: int) -> None:
    aliases = " ".join(f"a{n}: pullRequests {{ totalCount }}" for n in range(connections))
    text = f"""query {{ repository(owner: "o", name: "n") {{ {aliases} }} }}"""
    assert cost(text).points == points


def test_a_call_without_connections_costs_a_point() -> None:
    assert cost("{ rateLimit { cost } }") == Cost(1, 0)


def test_a_connection_selected_twice_under_one_name_counts_once() -> None:
    text = """query($n: Int = 50) { node(id: "R") { ...A ... on Repository {
      pullRequests(first: $n) { nodes { commits(first: 1) { totalCount } } } } } }
      fragment A on Repository { pullRequests(first: $n) { nodes { labels(first: 9) { nodes { name
      } } } } }"""
    assert cost(text) == Cost(points=1, nodes=50 + 50 * 1 + 50 * 9)
    assert cost(text, n=100) == Cost(points=2, nodes=100 + 100 * 1 + 100 * 9)
