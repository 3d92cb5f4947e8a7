"""A week in the life of the ingest: an organisation that works on, a GitHub that fails, crashes.

Time is simulated. Every run meets faults drawn by chance; at the end, after a week in which nothing
fails any more, `raw` equals GitHub's truth: nothing missing, doubled or stale.
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

import pytest
from pydantic import SecretStr

from demo.github import GitHub
from demo.model import PullRequest, Repository
from demo.organisation import Organisation, generate
from demo.server import Fault, Server, serve
from dora import embedded
from dora.database import Database
from dora.errors import DoraError
from dora.settings import Settings
from ingest.config import read_config
from ingest.pipeline import run
from tests.ingest.simulated import SimulatedClock
from tests.ingest.truth import rows, unlike

# A week is for `make test-long`; a bit over two days meet every kind of fault as well.
SHORT, WEEK = 14, 42
EVERY = timedelta(hours=4)
TOKEN = "t"
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class World:
    """The organisation at work, its GitHub at fault, and the database they end up in."""

    seed: int
    home: Path
    organisation: Organisation
    github: GitHub = field(init=False)
    clock: SimulatedClock = field(init=False)
    chance: random.Random = field(init=False)
    people: list[str] = field(init=False)
    faults: int = 0
    is_calm: bool = False

    def __post_init__(self) -> None:
        self.github = GitHub.from_organisation(self.organisation)
        self.clock = SimulatedClock(datetime.fromisoformat(self.organisation.end))
        self.chance = random.Random(self.seed)
        self.people = sorted({str(r["author"]) for r in self.organisation.records if r["author"]})

    def work(self, deeds: int) -> None:
        """Do some of what people do on GitHub, now."""
        for _ in range(deeds):
            self._do(self.clock.now())

    def _do(self, at: datetime) -> None:
        chance, github = self.chance, self.github
        repositories = [r for r in github.repositories() if r.blocked is None]
        repository = chance.choice(repositories)
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

    def _open(self, repository: Repository, at: datetime) -> PullRequest:
        author = self.chance.choice(self.people)
        return self.github.add_pull_request(repository, at, author, title="New work")

    def before_request(self, operation: str | None, variables: Any) -> Fault | None:
        """Let people work while pages are read, and let a request fail now and then."""
        self.clock.pass_by(self.chance.uniform(0.2, 2.0))
        if self.is_calm:
            return None
        if self.chance.random() < 0.3:
            self.work(1)
        if self.chance.random() > 0.12:
            return None
        self.faults += 1
        return self._fault(operation)

    def _fault(self, operation: str | None) -> Fault:
        chance = self.chance
        limited = {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}
        too_big = {"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "too much"}]}
        return chance.choice(
            [
                Fault(status=502, body="<html>"),
                Fault(status=503, body=""),
                Fault(status=504, body=""),
                Fault(status=200, body="<html>"),
                Fault(status=200, body=json.dumps(limited)),
                Fault(status=200, body=json.dumps(too_big)),
                Fault(status=403, headers={"Retry-After": "60"}, body="{}"),
                Fault(cut=chance.randrange(200)),
                Fault(reset=True),
                Fault(rewrite=_lose_one) if operation == "Walk" else Fault(reset=True),
            ]
        )


def _lose_one(answer: dict[str, Any]) -> dict[str, Any]:
    for node in answer.get("data", {}).get("nodes") or []:
        if node and node.get("pullRequests", {}).get("nodes"):
            node["pullRequests"]["nodes"][0] = None
    return answer


def settings_of(world: World, hub: Server, database: Database) -> Settings:
    owner = world.github.repositories()[0].owner.login
    return Settings(
        _env_file=None,
        github_pat=SecretStr(TOKEN),
        github_api_url=hub.url,
        repositories=f"{owner}/*",
        team_config_json=json.dumps(world.organisation.team_config()),
        db_url=SecretStr(database.url),
        dora_home=world.home,
    )


def one_run(world: World, hub: Server, database: Database) -> None:
    """Run once, within ten simulated minutes; what it raises is for the next run to mend."""
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
        "DB_URL": database.url,
        "DORA_HOME": str(world.home),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "dora", "ingest"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        time.sleep(world.chance.uniform(1.5, 3.5))
        process.kill()


@pytest.mark.parametrize(
    ("seed", "runs"),
    [(1, SHORT), *(pytest.param(seed, WEEK, marks=pytest.mark.long) for seed in range(2, 8))],
)
def test_a_week_of_faults_loses_nothing(seed: int, runs: int, home: Path, tmp_path: Path) -> None:
    organisation = generate(seed=seed, pull_requests=600, repositories=49)
    world = World(seed, tmp_path, organisation)
    database = Database(embedded.start(home).url())
    with serve(world.github, token=TOKEN, clock=lambda: world.clock.now().timestamp()) as hub:
        hub.points.limit = 10**6
        hub.before_request = world.before_request
        for number in range(runs):
            world.work(12)
            if number % 10 == 3:
                killed_run(world, hub, database)
            elif number % 10 == 7:
                embedded.stop(home)
                embedded.start(home)
            one_run(world, hub, database)
            world.clock.pass_by(EVERY.total_seconds())
        world.is_calm = True
        for _ in range(2):
            one_run(world, hub, database)
            world.clock.pass_by(timedelta(days=8).total_seconds())
    assert world.faults > runs / 2
    marked = rows(database, "select id from raw.pull_requests where vanished_at is not null")
    gone = {f"too much {row['id']}" for row in marked}
    # A renamed repository's pull requests keep the address that they were read with; it redirects.
    found = {line for line in unlike(database, world.github) if ": url is" not in line}
    assert found == gone
    open_failures = "select * from raw.ingest_failures where resolved_at is null"
    assert rows(database, open_failures) == []
