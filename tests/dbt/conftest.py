from collections.abc import Iterator
from pathlib import Path

import pytest
from dbt_support import Warehouse, new_warehouse

from dora.embedded_postgres import Embedded


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One target folder, so that later invocations reuse the parsed project."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def warehouse(server: Embedded, target: Path) -> Iterator[Warehouse]:
    """A database for the module: a build takes seconds, and many tests read the same build."""
    with new_warehouse(server, target) as made:
        yield made


@pytest.fixture
def own_warehouse(server: Embedded, target: Path) -> Iterator[Warehouse]:
    """A separate database for a test that changes its content."""
    with new_warehouse(server, target) as made:
        yield made
