"""The main job on real input: ingest, build and API, compared with figures from plain Python."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app
from demo.github import GitHub
from demo.organisation import Organisation, generate
from demo.server import Server, serve
from dora.api_keys import new_key
from dora.database import Database
from dora.settings import Settings
from ingest.config import read_config
from ingest.pipeline import run
from ingest.run_result import RunResult
from tests.differences import differences
from tests.reference import Coverage, Marts, compare, keyed, read_records, reference
from transform.dbt_runner import build_marts

REAL = Path(__file__).parents[1] / "reference" / "data"
TOKEN = "a-token"


def ingest(
    server: Server, teams: Iterable[dict[str, Any]], database: Database, home: Path
) -> RunResult:
    settings = Settings(
        _env_file=None,
        github_pat=SecretStr(TOKEN),
        github_api_url=server.url,
        repositories=",".join(found.name_with_owner for found in server.github.repositories()),
        team_config_json=json.dumps(list(teams)),
    )
    result = run(read_config(settings), database, home)
    assert result is not None
    return result


@contextmanager
def api(database: Database) -> Iterator[TestClient]:
    key, entry = new_key("the test")
    settings = Settings(
        _env_file=None,
        db_url=SecretStr(database.url),
        api_keys=SecretStr(json.dumps([entry])),
    )
    with TestClient(create_app(settings), headers={"X-API-Key": key}) as client:
        yield client


def api_differences(client: TestClient, expected: Marts, team_ids: Iterable[str]) -> list[str]:
    found: list[str] = []
    for path, column, wanted in (
        ("velocity", "week", expected.velocity),
        ("lead-time", "month", expected.lead_time),
    ):
        for team_id in team_ids:
            answer = client.get(f"/metrics/team/{team_id}/{path}")
            assert answer.status_code == 200, answer.text
            mine = {
                (period.isoformat(),): row
                for (team, period), row in wanted.items()
                if team == team_id
            }
            found += compare(_without_keys(mine), keyed(answer.json()["data"], column))
    return found


def _without_keys(rows: dict[Any, Any]) -> dict[Any, Any]:
    keys = {"team_id", "week", "month"}
    return {
        key: {name: value for name, value in row.items() if name not in keys}
        for key, row in rows.items()
    }


def whole(names: Iterable[str], covered_to: datetime) -> dict[str, Coverage]:
    return {name: Coverage(None, covered_to) for name in names}


def test_every_figure_of_real_pull_requests_is_right_from_ingest_to_api(
    database: Database, tmp_path: Path
) -> None:
    path = REAL / "ietf_pull_requests.jsonl.gz"
    teams = json.loads((REAL / "ietf_teams.json").read_text("utf-8"))
    records = list(read_records(path))
    now = datetime(2026, 7, 8, 12, tzinfo=UTC)
    with serve(GitHub.from_jsonl(path), token=TOKEN, clock=now.timestamp) as server:
        result = ingest(server, teams, database, tmp_path)
    assert (result.exit_code, result.pull_requests, result.reviews) == (0, 2976, 7605)
    build_marts(database, tmp_path)
    expected = reference(records, teams, whole({r["repository"] for r in records}, now))
    assert len(expected.velocity) > 1000
    assert differences(database, expected) == []
    with api(database) as client:
        assert api_differences(client, expected, [team["id"] for team in teams]) == []


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return generate(seed=7, pull_requests=2000)


def records_of(github: GitHub) -> list[dict[str, Any]]:
    return json.loads(json.dumps(list(github.records())))


def test_every_figure_of_the_demo_is_right_after_logins_are_renamed(
    organisation: Organisation, database: Database, tmp_path: Path
) -> None:
    teams, end = organisation.team_config(), datetime.fromisoformat(organisation.end)
    github = GitHub.from_organisation(organisation)
    names = [found.name_with_owner for found in github.repositories()]
    with serve(github, token=TOKEN, clock=(end + timedelta(hours=1)).timestamp) as server:
        assert ingest(server, teams, database, tmp_path).exit_code == 0
        logins = {rename.user_id: {rename.old_login} for rename in organisation.renames}
        for rename in organisation.renames:
            github.rename_account(rename.old_login, rename.new_login)
        renamed = {rename.user_id for rename in organisation.renames}
        touched = [r for r in records_of(github) if r["author_id"] in renamed][:3]
        for record in touched:
            pull_request = github.pull_request(record["repository"], record["number"])
            github.edit(pull_request, end + timedelta(minutes=20), title="Retitled since")
        assert ingest(server, teams, database, tmp_path).pull_requests >= len(touched) > 0
    build_marts(database, tmp_path)
    covered = whole(names, end + timedelta(hours=1))
    expected = reference(records_of(github), teams, covered, logins=logins)
    found = [line for line in differences(database, expected) if ": author:" not in line]
    assert found == []
    with api(database) as client:
        assert api_differences(client, expected, [team["id"] for team in teams]) == []
