import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from dbt_support import Warehouse, create_raw

from dora.database import Database
from dora.embedded import Embedded
from dora.roles import INGEST
from tests.conftest import TEMPLATE


@contextmanager
def new_warehouse(server: Embedded, target: Path) -> Iterator[Warehouse]:
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        made = Warehouse(Database(server.url(name)), target)
        with made.database.connect(INGEST) as raw:
            create_raw(raw)
        yield made
        connection.execute(f"drop database {name} with (force)")


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
