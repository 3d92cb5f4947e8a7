from pathlib import Path

import pytest
from export_support import copy_marts

from dora.database import Database
from export.destination import open_destination
from export.run import export_marts


@pytest.fixture(scope="session")
def exported(demo: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's marts in a folder; read-only."""
    folder = tmp_path_factory.mktemp("exported")
    export_marts(demo, open_destination(str(folder)), keep=3)
    return folder


@pytest.fixture
def marts(demo: Database, database: Database) -> Database:
    """A copy of the demo's marts that a test may change."""
    copy_marts(demo, database)
    return database
