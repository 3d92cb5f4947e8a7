"""`GET /` (the dashboard for browsers, paths for programs), `GET /docs`, `GET /openapi.json`."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from api import dashboard
from api.problems import expect_known_parameters

router = APIRouter()


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    if dashboard.wants_page(request):
        # The links of the page are relative: below a stage the URL must end with a slash.
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
    """The content of /openapi.json as a page for people.

    Like the front page it accepts any query parameter: no figures depend on it, and shared links
    gain parameters such as `utm_source`.
    """
    return dashboard.page("docs")


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    expect_known_parameters(request)
    document = request.app.openapi()
    if root := request.scope.get("root_path", ""):
        document = document | {"servers": [{"url": root}]}
    return JSONResponse(document)
