"""`GET /`: the dashboard for a browser, for a program where to go from here."""

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
        return dashboard.page()
    return JSONResponse(
        {
            "name": request.app.title,
            "openapi": f"{root}/openapi.json",
            "health": f"{root}/health",
            "teams": f"{root}/teams",
        },
        headers={"Vary": "Accept"},
    )
