from collections.abc import Iterator
from pathlib import Path

import pytest
from dbt_support import Warehouse, new_warehouse

from dora.embedded_postgres import Embedded


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dbt has parsed is good for the next invocation too."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def warehouse(server: Embedded, target: Path) -> Iterator[Warehouse]:
    """A database of the module's own: a build takes seconds, and many tests read one build."""
    with new_warehouse(server, target) as made:
        yield made


@pytest.fixture
def own_warehouse(server: Embedded, target: Path) -> Iterator[Warehouse]:
    """A database of the test's own, for one that changes what is in it."""
    with new_warehouse(server, target) as made:
        yield made
