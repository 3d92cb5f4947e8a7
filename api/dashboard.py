"""The dashboard: what Vite built from `dashboard/`, or a page that says how to build it."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

BUILT = Path(__file__).resolve().parents[1] / "dashboard" / "dist"

# Nothing of a third party, no inline script or style; blob: for the PNG that is drawn.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types vue",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ALWAYS_ASK = "no-cache"
FOR_GOOD = "public, max-age=31536000, immutable"

NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>dora-metrics</title>
<h1>The dashboard is not built yet</h1>
<p>The API is up: <a href="./health">health</a>, <a href="./openapi.json">openapi.json</a>.</p>
<p>To build the dashboard, run <code>make dashboard</code> in the folder of dora-metrics, then load
this page again. It needs the npm registry once and no Node on the machine.</p>
</html>
"""


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page to show, rather than a program for data."""
    return "text/html" in request.headers.get("accept", "")


def page(name: str, root: Path = BUILT, *, status: int = 200, home: str = "./") -> Response:
    """A page of the dashboard; read anew each time, so that a build shows without a restart.

    `home` is the way from the page's address to the front page, which its links start from.
    """
    try:
        text = (root / f"{name}.html").read_text("utf-8")
    except OSError:
        text = NOT_BUILT
    headers = {**HEADERS, "Cache-Control": ALWAYS_ASK, "Vary": "Accept"}
    return HTMLResponse(text.replace('="./', f'="{home}'), status, headers)


def not_found(request: Request) -> Response:
    """The page for an address that has none, at any depth (404)."""
    scope = request.scope
    # Below a mount, `root_path` is the mount's.
    path = scope["path"].removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
    return page("404", status=HTTPStatus.NOT_FOUND, home="./" + "../" * (path.count("/") - 1))


class Assets(StaticFiles):
    """Files whose names carry a hash of what is in them, so they may be kept for good."""

    def __init__(self, root: Path = BUILT) -> None:
        super().__init__(directory=root / "assets", check_dir=False)

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers.update({**HEADERS, "Cache-Control": FOR_GOOD})
        return response
