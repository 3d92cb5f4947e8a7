"""`GET /`: the dashboard for a browser, for a program where to go from here; `GET /docs`."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from api import dashboard

router = APIRouter()


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    if "text/html" in request.headers.get("accept", ""):
        # The page's addresses are relative: below a stage they need the slash.
        if root and not request.url.path.endswith("/"):
            return RedirectResponse(f"{root}/")
        return dashboard.page("index")
    return JSONResponse(
        {
            "name": request.app.title,
            "openapi": f"{root}/openapi.json",
            "docs": f"{root}/docs",
            "health": f"{root}/health",
            "teams": f"{root}/teams",
        },
        headers={"Vary": "Accept"},
    )


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """What /openapi.json says, as a page for people."""
    return dashboard.page("docs")
