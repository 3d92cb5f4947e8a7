"""`GET /`: where to go from here."""

from fastapi import APIRouter, Request

router = APIRouter()


@router.get("/", include_in_schema=False)
async def index(request: Request) -> dict[str, str]:
    root = request.scope.get("root_path", "")
    return {
        "name": request.app.title,
        "openapi": f"{root}/openapi.json",
        "health": f"{root}/health",
        "teams": f"{root}/teams",
    }
