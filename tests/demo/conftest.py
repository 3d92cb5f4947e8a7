from collections.abc import Iterator

import httpx
import pytest

from demo.github import GitHub
from demo.organisation import Organisation, generate
from demo.server import Server, serve

TOKEN = "secret-of-the-tests"


@pytest.fixture(scope="session")
def organisation() -> Organisation:
    return generate()


@pytest.fixture
def github() -> GitHub:
    """One repository with ten pull requests, opened and changed an hour apart."""
    github = GitHub()
    repository = github.create_repository("acme/api", "2026-01-01T00:00:00Z")
    for hour in range(10):
        github.add_pull_request(repository, f"2026-01-05T{hour:02d}:00:00Z", "ada")
    return github


@pytest.fixture
def server(github: GitHub) -> Iterator[Server]:
    with serve(github, token=TOKEN) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    headers = {"authorization": f"bearer {TOKEN}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=10) as client:
        yield client
