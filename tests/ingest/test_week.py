"""A simulated week of the ingest: people work, GitHub fails, runs crash.

Time is simulated and every run meets random faults. After a final week without faults, `raw` equals
GitHub's data: nothing missing, duplicated or stale.
"""

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from demo.github import GitHub
from demo.model import PullRequest, Repository
from demo.organisation import Organisation, generate
from demo.server import Fault, Server, serve
from dora import embedded_postgres
from dora.database import Database
from dora.errors import DoraError
from dora.settings import Settings
from ingest.config import read_config
from ingest.pipeline import run
from tests.conftest import hurry
from tests.ingest import delivering, delivery_truth
from tests.ingest.simulated import SimulatedClock
from tests.ingest.test_faults import PASSING, too_much_for
from tests.ingest.truth import prs, rows, unlike

pytestmark = pytest.mark.ci

EVERY = timedelta(hours=4)
# The number of runs in a week and in a year, and of actions between two runs.
WEEK, YEAR = (42, 12), (2190, 2)
TOKEN = "t"
_DOUBLED = """
    select id from raw.pull_requests group by id having count(*) > 1
    union all
    select id from raw.pull_request_reviews group by id having count(*) > 1
    union all
    select id from raw.pull_request_draft_events group by id having count(*) > 1
"""
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class World:
    """A working organisation, its failing GitHub and a simulated clock."""

    seed: int
    home: Path
    organisation: Organisation
    github: GitHub = field(init=False)
    clock: SimulatedClock = field(init=False)
    chance: random.Random = field(init=False)
    people: list[str] = field(init=False)
    faults: int = 0
    is_calm: bool = False
    unanswered: str = ""

    def __post_init__(self) -> None:
        self.github = GitHub.from_organisation(self.organisation)
        self.clock = SimulatedClock(datetime.fromisoformat(self.organisation.end))
        self.chance = random.Random(self.seed)
        self.people = sorted({str(r["author"]) for r in self.organisation.records if r["author"]})
        delivering.begin(self.github, self.clock.now() - timedelta(days=1))

    def work(self, deeds: int) -> None:
        """Do some random actions of people on GitHub, now."""
        for _ in range(deeds):
            self._do(self.clock.now())

    def _do(self, at: datetime) -> None:
        chance, github = self.chance, self.github
        repositories = [r for r in github.repositories() if r.blocked is None]
        repository = chance.choice(repositories)
        if chance.random() < 0.5:
            delivering.do_one(github, repository, chance, at)
            return
        deed = chance.random()
        if deed < 0.25 or not repository.by_number:
            self._open(repository, at)
            return
        pull_request = chance.choice(list(repository.by_number.values()))
        if deed < 0.55:
            state = chance.choice(["APPROVED", "COMMENTED", "CHANGES_REQUESTED"])
            github.add_review(pull_request, at, chance.choice(self.people), state)
        elif deed < 0.7:
            github.edit(pull_request, at, title=f"Retitled {chance.random()}")
        elif deed < 0.8 and pull_request.state == "OPEN":
            github.merge(pull_request, at, chance.choice(self.people))
        elif deed < 0.85 and pull_request.state == "OPEN":
            github.close(pull_request, at)
        elif deed < 0.88 and pull_request.state == "CLOSED":
            github.reopen(pull_request, at)
        elif deed < 0.94 and pull_request.state == "OPEN":
            switch = github.ready_for_review if pull_request.is_draft else github.convert_to_draft
            switch(pull_request, at)
        elif deed < 0.96:
            github.delete_pull_request(pull_request)
        elif deed < 0.97:
            name = f"{repository.owner.login}/renamed-{chance.randrange(10**9)}"
            github.rename_repository(repository, name)
        elif deed < 0.98:
            github.edit(pull_request, at, title="Unreadable", is_unreadable=True)
        elif deed < 0.985:
            github.block_repository(repository)

    def next_shift(self) -> None:
        """Unblock some repositories and pull requests; choose a pull request that is too big."""
        chance = self.chance
        delivering.recover(self.github, chance, is_calm=self.is_calm)
        for repository in self.github.repositories():
            if repository.blocked and (self.is_calm or chance.random() < 0.3):
                self.github.block_repository(repository, None)
            for pull_request in repository.by_number.values():
                if pull_request.is_unreadable and (self.is_calm or chance.random() < 0.3):
                    self.github.edit(pull_request, None, is_unreadable=False)
        everything = prs(self.github)
        self.unanswered = "" if self.is_calm else chance.choice(everything).id

    def _open(self, repository: Repository, at: datetime) -> PullRequest:
        author = self.chance.choice(self.people)
        return self.github.add_pull_request(repository, at, author, title="New work")

    def before_request(self, operation: str | None, variables: Any) -> Fault | None:
        """Let people work between requests, and let some requests fail."""
        self.clock.pass_by(self.chance.uniform(0.1, 1.0))
        if self.is_calm:
            return None
        if self.chance.random() < 0.3:
            self.work(1)
        if self.chance.random() > 0.12:
            return Fault(rewrite=too_much_for(self.unanswered))
        self.faults += 1
        return self._fault(operation)

    def _fault(self, operation: str | None) -> Fault:
        chance = self.chance
        faults = [
            *PASSING.values(),
            Fault(cut=chance.randrange(200)),
            Fault(reset=True),
            Fault(rewrite=lose_one),
            Fault(rewrite=lose_one),
            Fault(rewrite=lose_one),
        ]
        return chance.choice(faults)


def lose_one(answer: dict[str, Any]) -> dict[str, Any]:
    """Replace the first node in a list by null: a repository, or a pull request of a page."""
    data = answer.get("data") or {}
    nodes = data.get("nodes") or []
    owner = data.get("repositoryOwner")
    lists = [(node.get("pullRequests") or {}).get("nodes") for node in nodes if node]
    found = next((found for found in lists if found and "title" in (found[0] or ())), None)
    pages = [(node.get("page") or {}).get("nodes") for node in nodes if node]
    found = found or next((page for page in pages if page), None)
    found = found or (owner["repositories"]["nodes"] if owner else nodes)
    if found:
        found[0] = None
    return answer


def settings_of(world: World, hub: Server, database: Database) -> Settings:
    owner = world.github.repositories()[0].owner.login
    return Settings(
        _env_file=None,
        github_pat=SecretStr(TOKEN),
        github_api_url=hub.url,
        repositories=f"{owner}/*",
        team_config_json=json.dumps(world.organisation.team_config()),
        deployments=delivering.DEPLOYMENTS,
        incidents=delivering.INCIDENTS,
        db_url=SecretStr(database.url),
        dora_home=world.home,
    )


def one_run(world: World, hub: Server, database: Database) -> None:
    """Run once within ten simulated minutes; the next run recovers from errors."""
    settings = settings_of(world, hub, database)
    try:
        config = read_config(settings)
        run(config, database, world.home, clock=world.clock, seconds=600)
    except DoraError:
        assert not world.is_calm


def killed_run(world: World, hub: Server, database: Database) -> None:
    settings = settings_of(world, hub, database)
    environment = os.environ | {
        "GITHUB_PAT": TOKEN,
        "GITHUB_API_URL": hub.url,
        "REPOSITORIES": str(settings.repositories),
        "TEAM_CONFIG_JSON": str(settings.team_config_json),
        "DEPLOYMENTS": str(settings.deployments),
        "INCIDENTS": str(settings.incidents),
        "DB_URL": database.url,
        "DORA_HOME": str(world.home),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "ingest"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        time.sleep(world.chance.uniform(1.5, 3.5))
        process.kill()


@pytest.mark.parametrize(
    ("seed", "runs", "deeds"),
    [
        pytest.param(1, *WEEK, id="a week"),
        *(
            pytest.param(seed, *WEEK, id=f"another week, {seed}", marks=pytest.mark.long)
            for seed in range(2, 8)
        ),
        pytest.param(8, *YEAR, id="a year", marks=pytest.mark.long),
    ],
)
def test_time_full_of_faults_loses_nothing(
    seed: int, runs: int, deeds: int, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.github.client.TIMEOUT", 0.3)
    organisation = generate(seed=seed, pull_requests=600, repositories=49)
    world = World(seed, tmp_path, organisation)
    database = Database(embedded_postgres.start(home).url())
    with psycopg.connect(database.url, autocommit=True) as connection:
        hurry(connection)
    with serve(world.github, token=TOKEN, clock=lambda: world.clock.now().timestamp()) as hub:
        hub.points.limit = 10**6
        hub.before_request = world.before_request
        for number in range(runs):
            world.next_shift()
            world.work(deeds)
            if number % 10 == 3:
                killed_run(world, hub, database)
            elif number % 10 == 7:
                embedded_postgres.stop(home)
                embedded_postgres.start(home)
            one_run(world, hub, database)
            world.clock.pass_by(EVERY.total_seconds())
        world.is_calm = True
        world.next_shift()
        # Settled deployments are read again after a day, other objects after a week.
        for days in (1, 8, 8):
            one_run(world, hub, database)
            world.clock.pass_by(timedelta(days=days).total_seconds())
    assert world.faults > runs / 2
    marked = rows(database, "select id from raw.pull_requests where vanished_at is not null")
    gone = {f"too much {row['id']}" for row in marked}
    # Pull requests of a renamed repository keep the old address, which redirects.
    found = {line for line in unlike(database, world.github) if ": url is" not in line}
    assert found == gone
    assert rows(database, _DOUBLED) == []
    assert delivery_truth.unlike(database, world.github) == []
    assert delivery_truth.unknown_commits(database, world.github) == []
    assert delivery_truth.landed_files(database) == delivery_truth.files(world.github)
    wanted = delivery_truth.incidents(world.github, delivering.LABEL)
    assert delivery_truth.landed_incidents(database) == wanted
    assert rows(database, "select * from raw.ingest_failures where resolved_at is null") == []
