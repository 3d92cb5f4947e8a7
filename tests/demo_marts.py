"""The marts of a demo organisation, made by an ingest from the simulated GitHub and `dbt build`."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from demo.delivery_generator import deployment_rules, incident_rules, ship
from demo.github import GitHub
from demo.organisation import Organisation, generate
from demo.server import serve
from dora.database import Database, initialise
from dora.settings import Settings
from ingest.config import read_config
from ingest.pipeline import run
from transform.dbt_runner import build_marts

SEED, PULL_REQUESTS = 7, 1000
TOKEN = "a-token"


def organisation_on_github() -> tuple[GitHub, Organisation, datetime]:
    """Return the simulated GitHub, its organisation, and the instant at which it is loaded."""
    organisation = generate(seed=SEED, pull_requests=PULL_REQUESTS)
    hub = GitHub.from_organisation(organisation)
    ship(hub, organisation)
    return hub, organisation, datetime.fromisoformat(organisation.end) + timedelta(hours=1)


def make(database: Database, home: Path) -> None:
    """Fill an empty database; files of the ingest and of dbt go below `home`."""
    initialise(database)
    hub, organisation, loaded = organisation_on_github()
    with serve(hub, token=TOKEN, clock=loaded.timestamp) as github:
        settings = Settings(
            _env_file=None,
            github_pat=SecretStr(TOKEN),
            github_api_url=github.url,
            repositories=",".join(r.name_with_owner for r in github.github.repositories()),
            team_config_json=json.dumps(organisation.team_config()),
            deployments=json.dumps(deployment_rules()),
            incidents=json.dumps(incident_rules()),
        )
        assert run(read_config(settings), database, home) is not None
    build_marts(database, home)
