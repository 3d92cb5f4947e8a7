"""`dora mcp` with the official client: over stdio, and over HTTP with API keys."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from api_support import ALL_KEY, API_KEYS, WEB_KEY
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from api.routes.velocity import VelocityWeek
from cli.mcp_server import TOOLS

COMMAND = [sys.executable, "-m", "cli", "mcp"]
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "teams"}}
WEEK = {"team_id": "web", "from": "2026-01-05", "to": "2026-01-11"}


def environment(url: str, **more: str) -> dict[str, str]:
    names = ("PATH", "HOME", "LANG")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {"DB_URL": url, "LOG_LEVEL": "WARNING"} | more


@pytest.fixture
def stdio(shared_marts, tmp_path) -> Callable[..., StdioServerParameters]:
    """Return the process that a client should start; keys are set, as on a server."""

    def parameters(url: str = shared_marts.url) -> StdioServerParameters:
        _, *arguments = COMMAND
        return StdioServerParameters(
            command=sys.executable,
            args=arguments,
            env=environment(url, API_KEYS=API_KEYS),
            cwd=tmp_path,
        )

    return parameters


@contextmanager
def served(folder: Path, url: str, **more: str) -> Iterator[str]:
    """Run `dora mcp --port`; yield the address of its tools."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "mcp.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*COMMAND, "--port", str(port)],
            env=environment(url, LOG_LEVEL="INFO", **more),
            cwd=folder,
            stderr=stderr,
        ) as process,
    ):
        try:
            until = time.monotonic() + 60
            while "/mcp" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()


def ask(server: Any, *calls: tuple[str, dict[str, Any]], mode: str = "auto") -> list[Any]:
    """Call tools one after another in one session."""

    async def session() -> list[Any]:
        async with Client(server, mode=mode) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(session())


def ask_with_key(url: str, key: str | None, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    async def session() -> list[Any]:
        headers = {} if key is None else {"X-API-Key": key}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(session())


def refusal(result: Any) -> str:
    assert result.is_error
    (block,) = result.content
    return block.text


def test_tools_are_read_only_and_described_by_the_api(stdio, client):
    async def listed() -> Any:
        async with Client(stdio()) as assistant:
            return (await assistant.list_tools()).tools, assistant.instructions

    tools, instructions = asyncio.run(listed())
    assert [tool.name for tool in tools] == list(TOOLS)
    assert "as_of" in instructions
    document = client.get("/openapi.json").json()
    described = {
        path["get"]["operationId"]: path["get"]["description"]
        for path in document["paths"].values()
    }
    for tool in tools:
        assert tool.description == described[tool.name]
        assert tool.annotations.read_only_hint
        assert tool.input_schema["additionalProperties"] is False
        for parameter in tool.input_schema["properties"].values():
            assert parameter["description"]
    velocity = next(tool for tool in tools if tool.name == "velocity").input_schema
    filters = {"repository", "label", "base"}
    assert set(velocity["properties"]) == {"team_id", "from", "to", *filters}
    assert velocity["required"] == ["team_id"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_answer_is_the_apis_with_definitions_and_sample_size(stdio, client, mode):
    (result,) = ask(stdio(), ("velocity", WEEK), mode=mode)
    answer = result.structured_content
    assert json.loads(result.content[0].text) == answer
    definitions, sample = answer.pop("definitions"), answer.pop("sample_size")
    path = "/metrics/team/web/velocity?from=2026-01-05&to=2026-01-11"
    assert answer == client.get(path).json()
    assert answer["as_of"] == "2026-01-20T00:00:00Z"
    assert sample == {"rows": 1, "prs_merged": 2}
    for name, field in VelocityWeek.model_fields.items():
        assert definitions[name] == field.description


def test_pull_requests_behind_a_week_come_page_by_page(stdio):
    asked = ("pull_requests", WEEK | {"limit": 1})
    (first,) = ask(stdio(), asked)
    cursor = first.structured_content["next_cursor"]
    (second,) = ask(stdio(), ("pull_requests", WEEK | {"limit": 1, "cursor": cursor}))
    found = [*first.structured_content["data"], *second.structured_content["data"]]
    assert [row["url"].rpartition("/")[2] for row in found] == ["1", "2"]
    assert "next_cursor" not in second.structured_content


def test_every_tool_answers_and_unknown_sample_sizes_are_null(stdio):
    core, nothing = {"team_id": "core"}, {"team_id": "core", "to": "2025-01-01"}
    week = core | {"from": "2026-01-05", "to": "2026-01-11"}
    results = ask(
        stdio(),
        ("teams", {}),
        ("lead_time", core),
        ("delivery", week),
        ("delivery", core | {"from": None, "unit": "week"}),
        ("deployments", core),
        ("pull_requests", nothing),
    )
    assert not [result for result in results if result.is_error]
    assert [result.structured_content["sample_size"] for result in results] == [
        {"rows": 2},
        {"rows": 0, "prs_merged": None},
        {"rows": 1, "deployments": None, "changes_deployed": None},
        {"rows": 2, "deployments": 0, "changes_deployed": 0},
        {"rows": 3},
        {"rows": 0},
    ]
    empty = results[-1]
    assert json.loads(empty.content[0].text)["data"] == []


def test_trends_open_pull_requests_reviews_and_groups_are_the_apis(stdio, client):
    cases = {
        "/groups": ("groups", {}),
        "/metrics/trends?verdict=worse&verdict=better": (
            "trends",
            {"verdict": ["worse", "better"]},
        ),
        "/metrics/team/web/pull-requests?state=open": (
            "pull_requests",
            {"team_id": "web", "state": "open"},
        ),
        "/metrics/team/all/reviews": ("reviews", {"team_id": "all"}),
    }
    for path, result in zip(cases, ask(stdio(), *cases.values()), strict=True):
        data = client.get(path).json()["data"]
        assert data
        assert result.structured_content["data"] == data


def test_bad_arguments_are_refused_with_the_reason(stdio):
    cases = {
        "There is no team 'wbe'": ("velocity", {"team_id": "wbe"}),
        "from: should be a date like 2026-01-31": ("velocity", WEEK | {"from": "5 January"}),
        "fron: is unknown; did you mean from?": ("velocity", WEEK | {"fron": "2026-01-05"}),
        "team_id is required": ("velocity", {"from": "2026-01-05"}),
        "team_id is required: The `id`": ("velocity", {"team_id": ["web"]}),
        "There is nothing at this path": ("velocity", {"team_id": "../teams"}),
        "this path takes no parameters": ("teams", {"team_id": "web"}),
        "limit: ": ("pull_requests", WEEK | {"limit": {"a": 1}}),
        "cursor: should be the next_cursor": ("pull_requests", WEEK | {"cursor": "x"}),
    }
    for expected, result in zip(cases, ask(stdio(), *cases.values()), strict=True):
        assert expected in refusal(result)


def test_unknown_tool_is_a_protocol_error_that_names_the_tools(stdio):
    async def session() -> None:
        async with Client(stdio()) as client:
            with pytest.raises(MCPError, match="no tool 'rank_people'; the tools are teams, "):
                await client.call_tool("rank_people", {})

    asyncio.run(session())


def test_unavailable_database_is_reported_and_recovers(stdio, gate):
    async def session() -> tuple[Any, Any]:
        async with Client(stdio(gate.url)) as client:
            gate.close()
            away = await client.call_tool("teams", {})
            gate.open()
            until = time.monotonic() + 30
            while (back := await client.call_tool("teams", {})).is_error:
                assert time.monotonic() < until
                await asyncio.sleep(0.1)
            return away, back

    away, back = asyncio.run(session())
    assert refusal(away) == "The database is unavailable; try again."
    assert back.structured_content["sample_size"] == {"rows": 2}


def test_database_without_a_build_is_reported(stdio, bare):
    (result,) = ask(stdio(bare.url), ("teams", {}))
    assert refusal(result) == "There is no build of the marts yet; run `dora build`."


def test_key_over_http_reads_only_its_teams(shared_marts, tmp_path):
    with served(tmp_path, shared_marts.url, API_KEYS=API_KEYS) as url:
        mine, others, teams = ask_with_key(
            url, WEB_KEY, ("velocity", WEEK), ("velocity", {"team_id": "core"}), ("teams", {})
        )
        (everyone,) = ask_with_key(url, ALL_KEY, ("teams", {}))
        (without,) = ask_with_key(url, None, ("teams", {}))
        unknown = ask_with_key(url, "a-key", *[("teams", {})] * 11)
    assert mine.structured_content["sample_size"] == {"rows": 1, "prs_merged": 2}
    assert refusal(others) == "The API key 'web-only' may not read team 'core'."
    assert [team["id"] for team in teams.structured_content["data"]] == ["web"]
    assert [team["id"] for team in everyone.structured_content["data"]] == ["core", "web"]
    assert refusal(without) == "An API key is required in the X-API-Key header."
    assert {refusal(result) for result in unknown[:10]} == {"The API key is unknown."}
    assert refusal(unknown[10]).startswith("Too many bad API keys from your address")


def test_without_keys_only_requests_that_name_this_machine_are_answered(shared_marts, tmp_path):
    def call(url: str, host: str) -> Any:
        headers = {"Accept": "application/json, text/event-stream", "Host": host}
        return httpx.post(url, json=CALL, headers=headers).json()["result"]

    with served(tmp_path, shared_marts.url) as url:
        local = call(url, "localhost:8001")
        foreign = call(url, "rebound.example.com")
    assert local["structuredContent"]["sample_size"] == {"rows": 2}
    assert foreign["isError"]
    assert "only loopback requests are answered" in foreign["content"][0]["text"]


@pytest.mark.parametrize("way", ["end of stdin", "Ctrl-C"])
def test_process_ends_with_its_client(shared_marts, tmp_path, way):
    with subprocess.Popen(
        COMMAND,
        env=environment(shared_marts.url),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}}
        hello["clientInfo"] = {"name": "test", "version": "1"}
        first = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        process.stdin.write(json.dumps(first) + "\n")
        process.stdin.flush()
        greeting = json.loads(process.stdout.readline())["result"]
        assert greeting["serverInfo"]["name"] == "dora-metrics"
        if way == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        else:
            process.stdin.close()
        assert process.wait(30) == (-signal.SIGINT if way == "Ctrl-C" else 0)
        assert "Traceback" not in process.stderr.read()


def test_host_without_port_is_refused(tmp_path):
    done = subprocess.run(
        [*COMMAND, "--host", "0.0.0.0"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dora: --host 0.0.0.0 needs --port, the port to serve HTTP on\n"
