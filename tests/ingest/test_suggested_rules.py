"""`dora deployments check`: possible deployments of repositories and suggested rules."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cli.deployments import describe, suggest
from demo.github import GitHub
from demo.rest_api import HIDDEN
from demo.server import Server, serve
from dora.settings import Settings
from ingest.config import read_config
from ingest.delivery.deployment_rules import read_deployments
from ingest.delivery.suggested_rules import Offer, survey

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"


@pytest.fixture
def github() -> GitHub:
    github = GitHub()
    for name in ("api", "cli", "mono", "site", "docs"):
        repository = github.create_repository(f"acme/{name}", START)
        github.add_commit(repository, START, branch="main")
    api, cli, mono, site = (github.repository(f"acme/{n}") for n in ("api", "cli", "mono", "site"))
    tip = api.branches["main"]
    for hour in range(120):
        at = START + timedelta(hours=hour)
        github.deploy(api, at, tip, "production" if hour % 2 else "staging")
    for number in range(3):
        tag = f"v1.{number}"
        github.tag(cli, tag, cli.branches["main"])
        release = github.draft_release(cli, START, tag, is_prerelease=number == 2)
        github.publish(release, START)
        for service in ("api", "web"):
            github.tag(mono, f"{service}-v{number}.0", mono.branches["main"])
    workflow = github.add_workflow(site, "Deploy to the cloud", ".github/workflows/cloud.yml")
    github.add_workflow(site, "Tests", ".github/workflows/tests.yml")
    github.start_run(workflow, START, site.branches["main"])
    return github


@pytest.fixture
def hub(github: GitHub) -> Iterator[Server]:
    with serve(github, token=TOKEN) as hub:
        yield hub


def offers_of(settings: Settings) -> dict[str, Offer]:
    found, away = asyncio.run(survey(read_config(settings)))
    assert away == []
    return {offer.repository: offer for offer in found}


def test_each_repository_says_what_it_has(settings: Settings) -> None:
    offers = offers_of(settings)
    api = offers["acme/api"]
    assert api.environments == Counter({"production": 50, "staging": 50})
    assert describe(api) == [
        "acme/api",
        "  environments: production 50, staging 50 (of the latest 100 of 120)",
        "  rule: deployments: matches 50",
    ]
    assert describe(offers["acme/cli"]) == [
        "acme/cli",
        "  releases: 3, the newest v1.1, v1.0, 1 prerelease",
        "  tags: 3, the newest v1.2, v1.1, v1.0",
        "  rule: deployments: matches 0, not measured",
    ]
    narrowed = {"target": "http", "labels": ["svc:http"], "paths": ["http/**"]}
    api.rules = read_deployments(json.dumps([{"repositories": ["acme/api"], **narrowed}]))
    assert describe(api)[2:] == [
        "  rule of http: deployments: matches 50; its changes: label svc:http, path http/**"
    ]
    assert offers["acme/site"].workflows == {"cloud.yml": ("Deploy to the cloud", 1)}


def test_rules_are_suggested_for_what_is_not_measured(settings: Settings) -> None:
    offers = list(offers_of(settings).values())
    suggested = suggest(offers)
    assert suggested == [
        {"repositories": ["acme/cli"], "source": "releases", "tag": "^v?[0-9]"},
        {"repositories": ["acme/docs"], "source": "merges"},
        {"repositories": ["acme/mono"], "target": "api", "source": "tags", "tag": "^api-v?[0-9]"},
        {"repositories": ["acme/mono"], "target": "web", "source": "tags", "tag": "^web-v?[0-9]"},
        {"repositories": ["acme/site"], "source": "workflow", "workflow": "cloud.yml"},
    ]
    rules = read_deployments(json.dumps(suggested))
    assert len(rules) == len(suggested)
    covered = settings.model_copy(update={"deployments": json.dumps(suggested)})
    assert suggest(list(offers_of(covered).values())) == []


def test_what_the_token_may_not_see_is_said(settings: Settings, github: GitHub) -> None:
    github.hidden_fields |= {"Repository.deployments", HIDDEN}
    offers = offers_of(settings)
    assert set(offers["acme/cli"].unreadable) == {"deployments", "workflow_runs"}
    assert offers["acme/cli"].releases == ["v1.1", "v1.0"]
    assert any("cannot be read" in line for line in describe(offers["acme/cli"]))
