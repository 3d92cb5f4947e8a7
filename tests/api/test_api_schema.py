"""Runs schemathesis against the OpenAPI document: no 500, no response outside the schema."""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from api_support import ALL_KEY, settings_for
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
OF_A_TEAM = {"200", "401", "404", "422"}
EXPECTED = {
    "/health": {"200"},
    "/teams": {"200", "401"},
    "/groups": {"200", "401"},
    "/metrics/team/{team_id}/velocity": OF_A_TEAM,
    "/metrics/team/{team_id}/lead-time": OF_A_TEAM,
    "/metrics/team/{team_id}/delivery": OF_A_TEAM,
    "/metrics/team/{team_id}/deployments": OF_A_TEAM,
    "/metrics/team/{team_id}/pull-requests": OF_A_TEAM,
    "/metrics/team/{team_id}/reviews": OF_A_TEAM,
    "/metrics/compare": OF_A_TEAM,
    "/metrics/trends": OF_A_TEAM,
}


class Watched:
    """An app that records the statuses that each path of its document returned."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.seen: dict[str, set[str]] = defaultdict(set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message):
            route = scope.get("route")
            if message["type"] == "http.response.start" and route and route.include_in_schema:
                self.seen[route.path].add(str(message["status"]))
            await send(message)

        await self._app(scope, receive, watched)


def run_schemathesis(base: str, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{base}/openapi.json"]
    # The hooks contain a replacement for the excluded check.
    command += ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]
    command += ["--header", f"X-API-Key: {ALL_KEY}", "--no-color", *options]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def watched(demo, serve, monkeypatch):
    """The API on real marts, without the limit on bad keys."""
    monkeypatch.setattr("api.auth.BAD_KEYS", 10**6)
    app = create_app(settings_for(demo.url))
    watched = Watched(app)
    yield watched, serve(watched)
    app.state.marts.close()


def test_schemathesis_finds_no_undocumented_response(watched, tmp_path):
    api, base = watched
    done = run_schemathesis(base, tmp_path, "--max-examples", "20", "--seed", "2")
    assert done.returncode == 0, done.stdout
    assert {path: seen & EXPECTED[path] for path, seen in api.seen.items()} == EXPECTED
    for path, seen in api.seen.items():
        assert seen <= EXPECTED[path] | {"304", "405"}, path


@pytest.mark.long
def test_schemathesis_finds_none_with_many_examples(watched, tmp_path):
    api, base = watched
    done = run_schemathesis(base, tmp_path, "--max-examples", "400")
    assert done.returncode == 0, done.stdout
    assert {path: seen & EXPECTED[path] for path, seen in api.seen.items()} == EXPECTED
