"""The demo organisation for `dora run`: a GitHub server process and a separate database."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from dora.database import Database
from dora.errors import UnavailableError
from dora.settings import Settings, is_unconfigured

NAME = "demo"


def demo_database(home: Path) -> Database:
    """Return the demo's database on the embedded server, whatever `DB_URL` is."""
    # Only a laptop has the embedded server installed.
    from dora import embedded_postgres

    server = embedded_postgres.start(home)
    server.create_database(NAME)
    return Database(server.url(NAME))


def with_demo_database(settings: Settings) -> Settings:
    """Return settings with the demo's database, whose schemas have no prefix."""
    url = SecretStr(demo_database(settings.dora_home).url)
    return settings.model_copy(update={"db_url": url, "dora_schema_prefix": ""})


def has_demo_beside(database: Database) -> bool:
    """Whether the same server has a demo database."""
    query = "select exists (select from pg_database where datname = %s)"
    with database.connect() as connection:
        return connection.execute(query, [NAME]).fetchone() == (True,)


def with_shown_database(settings: Settings) -> Settings:
    """Return settings with the database of `dora run`: the demo's if nothing is configured."""
    is_own = settings.db_url or settings.db_secret_arn or not is_unconfigured(settings)
    return settings if is_own else with_demo_database(settings)


@contextmanager
def demo_github(settings: Settings) -> Iterator[Settings]:
    """Serve the demo organisation; yield the settings to read it."""
    home = settings.dora_home
    home.mkdir(parents=True, exist_ok=True)
    teams = home / "demo-teams.json"
    command = [sys.executable, "-m", "demo", "serve", "--teams-out", str(teams)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                raise UnavailableError("the demo organisation did not start")
            served = json.loads(ready)
            yield settings.model_copy(
                update={
                    "github_pat": SecretStr(served["token"]),
                    "github_api_url": served["url"],
                    "repositories": ",".join(served["repositories"]),
                    "team_config_json": str(teams),
                    "deployments": json.dumps(served["deployments"]),
                    "incidents": json.dumps(served["incidents"]),
                }
            )
        finally:
            process.terminate()
