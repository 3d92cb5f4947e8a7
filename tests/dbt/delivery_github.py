"""The worked examples as a simulated GitHub, a team configuration and a file of incidents."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from dbt_support import Row
from pydantic import SecretStr

from demo.github import GitHub
from demo.server import serve
from dora.database import Database
from dora.settings import Settings
from ingest.config import read_config
from ingest.pipeline import run

TOKEN = "a-token"
BEGINNING = "2026-03-01T00:00:00Z"
LOADED = datetime.fromisoformat("2026-03-31T00:00:00Z")


class Example(Protocol):
    """The parts of a worked example that are used here."""

    name: str
    repository_id: str
    tip: str
    parents: dict[str, list[str]]
    rows: dict[str, list[Row]]

    def sha(self, commit: str) -> str:
        """Return the hash of a commit of this name."""


def load(
    examples: Sequence[Example], rules: list[dict[str, Any]], database: Database, home: Path
) -> None:
    """Run the ingest to load the examples from a simulated GitHub."""
    github = GitHub()
    for example in examples:
        _add(github, example)
    incidents = home / "incidents.json"
    incidents.write_text(json.dumps(list(_incidents(examples))), "utf-8")
    with serve(github, token=TOKEN, clock=LOADED.timestamp) as hub:
        settings = Settings(
            _env_file=None,
            github_pat=SecretStr(TOKEN),
            github_api_url=hub.url,
            repositories=",".join(example.name for example in examples),
            team_config_json=json.dumps(list(_teams(examples))),
            deployments=json.dumps(rules),
            incidents=json.dumps({"file": str(incidents)}),
        )
        assert run(read_config(settings), database, home).exit_code == 0


def _add(github: GitHub, example: Example) -> None:
    repository = github.create_repository(example.name, BEGINNING, id=example.repository_id)
    moment = datetime.fromisoformat(BEGINNING)
    for name, parents in example.parents.items():
        moment += timedelta(minutes=1)
        shas = [example.sha(parent) for parent in parents]
        github.add_commit(repository, moment, *shas, oid=example.sha(name))
    repository.branches["main"] = example.sha(example.tip)
    paths = {row["pull_request_id"]: row["paths"] for row in example.rows["pull_request_files"]}
    for row in example.rows["pull_requests"]:
        changed = paths.get(row["id"], [""])
        reverts = row.get("reverts")
        pull_request = github.add_pull_request(
            repository,
            row["created_at"],
            row["author_login"],
            number=row["number"],
            title=row["title"],
            labels=row.get("labels", []),
            folder=changed[0].rpartition("/")[0],
            changed_files=len(changed),
            body=f"Reverts {example.name}{reverts}" if reverts else "",
        )
        github.merge(pull_request, row["merged_at"])
        pull_request.merge_commit_oid = row["merge_commit_sha"]
    deployments = {
        row["id"]: github.deploy(
            repository, row["created_at"], row["commit_sha"], row["environment"], id=row["id"]
        )
        for row in example.rows["deployments"]
    }
    for row in sorted(example.rows["deployment_statuses"], key=lambda row: str(row["created_at"])):
        github.add_status(deployments[row["deployment_id"]], row["created_at"], row["state"])


def _incidents(examples: Iterable[Example]) -> Iterable[Row]:
    for example in examples:
        for row in example.rows["incidents"]:
            fixed_by = row.get("fixed_by")
            yield row | ({"fixed_by": f"{example.name}{fixed_by}"} if fixed_by else {})


def _teams(examples: Iterable[Example]) -> Iterable[Row]:
    for example in examples:
        for team in example.rows["teams"]:
            members = [
                {name: value for name, value in row.items() if name != "team_id" and value}
                for row in example.rows["team_memberships"]
                if row["team_id"] == team["team_id"]
            ]
            yield {"id": team["team_id"], "name": team["team_id"], "members": members}
