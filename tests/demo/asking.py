"""A small client of GitHub."""

from typing import Any

import httpx

PAGE = """
query Page($id: ID!, $first: Int!, $after: String, $order: IssueOrder) {
  node(id: $id) {
    ... on Repository {
      pullRequests(first: $first, after: $after, orderBy: $order) {
        totalCount
        pageInfo { hasNextPage endCursor }
        nodes { id number updatedAt }
      }
    }
  }
}
"""
NEWEST_FIRST = {"field": "UPDATED_AT", "direction": "DESC"}


def ask(client: httpx.Client, query: str, **variables: Any) -> dict[str, Any]:
    """Return the body of the response, including errors."""
    response = client.post("/graphql", json={"query": query, "variables": variables})
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    return body


def data(client: httpx.Client, query: str, **variables: Any) -> dict[str, Any]:
    body = ask(client, query, **variables)
    assert "errors" not in body, body["errors"]
    found: dict[str, Any] = body["data"]
    return found


def walk(client: httpx.Client, repository_id: str, first: int, **order: str) -> list[list[int]]:
    """Return the numbers on each page."""
    pages: list[list[int]] = []
    after = None
    while True:
        variables = {"first": first, "after": after, "order": order or NEWEST_FIRST}
        page = data(client, PAGE, id=repository_id, **variables)["node"]["pullRequests"]
        pages.append([node["number"] for node in page["nodes"]])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return pages
