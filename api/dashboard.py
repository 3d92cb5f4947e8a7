"""Serves the dashboard that Vite built from `dashboard/`, or a page that says how to build it."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

BUILT = Path(__file__).resolve().parents[1] / "dashboard" / "dist"

# No third-party resources, no inline scripts or styles; the PNG export needs blob:.
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
this page again. The first build needs access to the npm registry; it does not need Node.</p>
</html>
"""


def wants_page(request: Request) -> bool:
    """Whether a browser requests a page, rather than a program data."""
    return "text/html" in request.headers.get("accept", "")


def page(name: str, root: Path = BUILT, *, status: int = 200, home: str = "./") -> Response:
    """Return a dashboard page; the file is read each time, so a new build needs no restart.

    `home` is the relative URL of the front page. The links in the page start with it.
    """
    try:
        text = (root / f"{name}.html").read_text("utf-8")
    except OSError:
        text = NOT_BUILT
    headers = {**HEADERS, "Cache-Control": ALWAYS_ASK, "Vary": "Accept"}
    return HTMLResponse(text.replace('="./', f'="{home}'), status, headers)


def not_found(request: Request) -> Response:
    """Return the 404 page for an unknown path at any depth."""
    scope = request.scope
    # Inside a mount, `root_path` includes the path of the mount.
    path = scope["path"].removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
    return page("404", status=HTTPStatus.NOT_FOUND, home="./" + "../" * (path.count("/") - 1))


class Assets(StaticFiles):
    """Files with a hash of their content in the name, so clients may cache them forever."""

    def __init__(self, root: Path = BUILT) -> None:
        super().__init__(directory=root / "assets", check_dir=False)

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers.update({**HEADERS, "Cache-Control": FOR_GOOD})
        return response
