import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from demo.github import GitHub
from demo.organisation import Organisation, generate
from demo.server import Server, serve
from dora.database import Database
from dora.settings import Settings
from ingest.clock import Clock
from ingest.config import read_config
from ingest.pipeline import run
from ingest.reporting import Reporter
from ingest.run_result import RunResult

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="session")
def organisation() -> Organisation:
    return generate(seed=11, pull_requests=300, repositories=3)


@pytest.fixture
def github(organisation: Organisation) -> GitHub:
    return GitHub.from_organisation(organisation)


@pytest.fixture
def hub(github: GitHub) -> Iterator[Server]:
    with serve(github, token=TOKEN) as hub:
        yield hub


@pytest.fixture
def settings(hub: Server, github: GitHub, organisation: Organisation, tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        github_pat=SecretStr(TOKEN),
        github_api_url=hub.url,
        repositories=",".join(found.name_with_owner for found in github.repositories()),
        team_config_json=json.dumps(organisation.team_config()),
        dora_home=tmp_path,
    )


Ingest = Callable[..., RunResult]


@pytest.fixture
def ingest(database: Database, settings: Settings) -> Ingest:
    """Run an ingest; `since`, `only` and `refresh` are its options, other keywords settings."""

    def once(
        *,
        since: Any = None,
        only: Any = (),
        refresh: bool = False,
        clock: Clock | None = None,
        seconds: float | None = None,
        reporter: Reporter | None = None,
        **changes: Any,
    ) -> RunResult:
        changed = settings.model_copy(update=changes)
        config = read_config(changed, since=since, only=only, refresh=refresh)
        result = run(config, database, changed.dora_home, reporter, clock=clock, seconds=seconds)
        assert result is not None
        return result

    return once
