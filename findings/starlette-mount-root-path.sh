#!/bin/sh
# starlette 1.10.0: inside a Mount, scope["root_path"] is the server's prefix and the mount's path.
#
# With root_path an ASGI server says under which prefix a proxy serves the application (uvicorn
# --root-path /prod). A handler that writes absolute links with it is correct until it is mounted.
# Then root_path is /prod/assets, and links to the application's other paths wrongly begin with
# /prod/assets. scope["app_root_path"] has only the prefix.
#
# Output seen with Python 3.11:
#   /prod/show: root_path /prod, app_root_path None
#   /prod/assets/show: root_path /prod/assets, app_root_path /prod
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    starlette==1.10.0 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
cat >"$folder/ask.py" <<'PYTHON'
import asyncio
import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route


def show(request: Request) -> JSONResponse:
    names = ("root_path", "app_root_path")
    return JSONResponse({name: request.scope.get(name) for name in names})


app = Starlette(routes=[Route("/show", show), Mount("/assets", routes=[Route("/show", show)])])


async def ask(path: str) -> dict[str, str]:
    """Return the application's response behind a server with the prefix /prod."""
    said = []

    async def send(message: dict) -> None:
        said.append(message.get("body", b""))

    scope = {"type": "http", "method": "GET", "path": path, "root_path": "/prod"}
    scope |= {"query_string": b"", "headers": []}
    await app(scope, None, send)
    return json.loads(b"".join(said))


found = {path: asyncio.run(ask(path)) for path in ("/prod/show", "/prod/assets/show")}
for path, scope in found.items():
    print(f"{path}: root_path {scope['root_path']}, app_root_path {scope['app_root_path']}")
assert found["/prod/assets/show"]["root_path"] == "/prod/assets", "root_path is the prefix now"
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
