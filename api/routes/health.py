"""`GET /health`: whether the API and its database work, and how fresh the data is."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api import openapi
from api.database import FromMarts
from api.problems import NoBuildError, expect_known_parameters
from api.schemas import AsOf

router = APIRouter(tags=["health"])

QUERY = "select build.as_of from build"


class Health(BaseModel):
    """The API and its database work."""

    status: Literal["ok"] = Field("ok", description="Any other state is a problem with status 503.")
    as_of: AsOf
    demo: bool | None = Field(
        None, description="True for the demo data of a fictional organisation, otherwise absent."
    )


@router.get(
    "/health",
    response_model_exclude_unset=True,
    responses=openapi.fresh(422, 503),
    openapi_extra={"security": []},
)
def health(marts: FromMarts, request: Request, response: Response) -> Health:
    """Whether the API and its database work; `as_of` is null before the first build."""
    expect_known_parameters(request)
    try:
        as_of = marts.of_one_build(QUERY)[0]["as_of"]
    except NoBuildError:
        as_of = None
    response.headers["Cache-Control"] = "no-store"
    found = Health(status="ok", as_of=as_of)
    if request.app.state.is_demo:
        found.demo = True
    return found
