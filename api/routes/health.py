"""`GET /health`: is the service up, and how fresh is what it serves."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.answers import AsOf, FromMarts
from api.problems import NoBuildError, responses

router = APIRouter(tags=["health"])

QUERY = "select dim_build.as_of from marts.dim_build"


class Health(BaseModel):
    """The service and its database answer."""

    status: Literal["ok"] = Field("ok", description="Anything else is a problem, with status 503.")
    as_of: AsOf


@router.get("/health", responses=responses(503))
def health(marts: FromMarts) -> Health:
    """Whether the API and its database are there. Needs no key; null before the first build."""
    try:
        rows = marts.rows(QUERY)
    except NoBuildError:
        rows = []
    return Health(as_of=rows[0]["as_of"] if rows else None)
