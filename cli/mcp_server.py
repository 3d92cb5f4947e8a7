"""The tools of `dora mcp`. Each tool is a GET on our API and is described by its OpenAPI document.

So the validation, the API keys, the limits to teams, the figures and the errors are the API's.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.requests import Request

# The operations of the API that are tools. The sample size of an answer is its number of rows and,
# over these rows, the sum of each column named here.
TOOLS: dict[str, tuple[str, ...]] = {
    "teams": (),
    "groups": (),
    "trends": (),
    "velocity": ("prs_merged",),
    "lead_time": ("prs_merged",),
    "delivery": ("deployments", "changes_deployed"),
    "deployments": (),
    "pull_requests": (),
    "reviews": ("prs_merged",),
}
INSTRUCTIONS = (
    "Figures about how the work of software teams flows and reaches production. Call `teams` "
    "first for the ids, `trends` for what changed, `pull_requests` with `state` open for work that "
    "waits. `all` and the ids of `groups` stand in place of a team's, except in `trends`. Give "
    "`from` and `to`: an answer without them covers the whole history. To "
    "explain a figure, pass the `from` and `to` of its week or month to `pull_requests` (velocity "
    "and lead time) or `deployments` (delivery), and link the rows. Each answer has `definitions` "
    "of its columns, `as_of` (how far the data is loaded) and `sample_size`; mention them with a "
    "figure. Null means no data, not 0. Rows with `is_complete` false are not final. Figures of "
    "fewer than 5 pull requests say little. The figures are about teams: do not rank people."
)
# Requests of a client on stdin come from this machine.
_LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class _Operation:
    """An operation of the API as a tool."""

    path: str
    tool: Tool
    path_parameters: dict[str, str]
    """The description of each, by name."""
    definitions: dict[str, str]


def make_server(app: FastAPI) -> Server[Any]:
    """Return a server whose tools read from this API.

    A client on stdin sends no API key, so its app must have no keys.
    """
    operations = dict(_operations(app.openapi()))

    async def list_tools(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[operation.tool for operation in operations.values()])

    async def call_tool(
        context: ServerRequestContext[Any, Request], params: CallToolRequestParams
    ) -> CallToolResult:
        operation = operations.get(params.name)
        if operation is None:
            known = ", ".join(operations)
            raise MCPError(
                INVALID_PARAMS, f"There is no tool {params.name!r}; the tools are {known}."
            )
        return await _call(app, operation, params.arguments or {}, context.request)

    def lifespan(_: Server[Any]) -> AbstractAsyncContextManager[Any]:
        return app.router.lifespan_context(app)

    return Server(
        app.title,
        version=app.version,
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, _Operation]]:
    schemas = document["components"]["schemas"]
    found = {methods["get"]["operationId"]: path for path, methods in document["paths"].items()}
    for name in TOOLS:
        path = found[name]
        operation = document["paths"][path]["get"]
        # The others are headers, by reference.
        parameters = [each for each in operation.get("parameters", []) if "name" in each]
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        tool = Tool(
            name=name,
            description=operation["description"],
            input_schema={
                "type": "object",
                "properties": {
                    each["name"]: each["schema"] | {"description": each["description"]}
                    for each in parameters
                },
                "required": [each["name"] for each in parameters if each["required"]],
                "additionalProperties": False,
            },
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )
        in_path = {each["name"]: each["description"] for each in parameters if each["in"] == "path"}
        yield name, _Operation(path, tool, in_path, _descriptions(answer, schemas))


def _descriptions(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, str]:
    """Return the description of each described member of an answer, at any depth, by its name."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    members = schema.get("properties", {})
    below = [*members.values(), *schema.get("anyOf", []), *filter(None, [schema.get("items")])]
    found: dict[str, str] = {}
    for each in below:
        found |= _descriptions(each, schemas)
    return found | {
        name: member["description"] for name, member in members.items() if "description" in member
    }


async def _call(
    app: FastAPI,
    operation: _Operation,
    arguments: Mapping[str, Any],
    request: Request | None,
) -> CallToolResult:
    given = {name: value for name, value in arguments.items() if value is not None}
    in_path: dict[str, str] = {}
    for name, description in operation.path_parameters.items():
        value = given.pop(name, "")
        if not isinstance(value, str) or not value.strip("/."):
            return _refused(f"{name} is required: {description}")
        in_path[name] = quote(value, safe="")
    response = await _get(app, operation.path.format(**in_path), given, request)
    answer = response.json()
    if response.status_code != httpx.codes.OK:
        return _refused(answer["detail"])
    rows = answer["data"]
    answer = {
        "definitions": operation.definitions,
        "sample_size": {"rows": len(rows)}
        | {name: _sum(row[name] for row in rows) for name in TOOLS[operation.tool.name]},
        **answer,
    }
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(content=[TextContent(text=text)], structured_content=answer)


async def _get(
    app: FastAPI, path: str, query: Mapping[str, Any], request: Request | None
) -> httpx.Response:
    """Call the API as the client of this request; None means a client on stdin."""
    address, headers = _LOCAL, {}
    if request is not None:
        address = request.client.host if request.client else ""
        # Without keys, the API answers only clients on this machine that name it in `Host`.
        headers = {
            name: request.headers[name]
            for name in ("Host", "X-API-Key", "X-Request-ID")
            if name in request.headers
        }
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 0))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{_LOCAL}") as client:
        return await client.get(path, params=dict(query), headers=headers)


def _refused(detail: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=detail)], is_error=True)


def _sum(values: Iterable[int | None]) -> int | None:
    """Return the sum of the known values; None if none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
