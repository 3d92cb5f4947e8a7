"""Turns every error of the API into `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api import dashboard
from api.middleware import get_logger
from api.query_parameters import query_faults
from dora.errors import ConfigurationError, UnavailableError

logger = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_VARY = {"Vary": "Accept"}
RETRY_SECONDS = 5
BUILD_SECONDS = 60


class Fault(BaseModel):
    """One invalid parameter."""

    parameter: str
    detail: str


class ProblemDetail(BaseModel):
    """An error response (RFC 9457)."""

    type: str = Field(description="Always `about:blank`: the status gives the kind of problem.")
    title: str = Field(description="The reason phrase of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="The cause of this error, and how to resolve it.")
    instance: str = Field(description="The path of the request.")
    parameter: str | None = Field(None, description="With 422: the first invalid parameter.")
    errors: list[Fault] | None = Field(None, description="With 422: every invalid parameter.")


class ProblemError(Exception):
    """An error response: its status, detail and headers."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class ParameterError(Exception):
    """A parameter that is well-formed but invalid (422)."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(parameter=parameter, detail=detail)


class UnknownParameterError(Exception):
    """The query string has a parameter that the path does not accept, or repeats one (422)."""


def expect_known_parameters(request: Request) -> None:
    """Raise `UnknownParameterError` if a parameter is unknown, or repeated but allowed once."""
    if query_faults(request):
        raise UnknownParameterError


class NoBuildError(Exception):
    """The marts are missing, empty or outdated: no `dbt build` of this release has run (503)."""


class _ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE


def install(app: FastAPI) -> None:
    """Turn every error, known or not, into a problem without internal details."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(ParameterError, _parameter)
    app.add_exception_handler(UnknownParameterError, _unknown_parameter)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(NoBuildError, _no_build)
    app.add_exception_handler(UnavailableError, _unavailable)
    app.add_exception_handler(ConfigurationError, _misconfigured)
    app.add_exception_handler(Exception, _unexpected)


def _answer(
    request: Request,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    faults: list[Fault] | None = None,
) -> _ProblemResponse:
    problem = ProblemDetail(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.scope["path"],
        parameter=faults[0].parameter if faults else None,
        errors=faults,
    )
    return _ProblemResponse(
        problem.model_dump(exclude_none=True),
        status_code=status,
        headers={"Cache-Control": "no-store"} | dict(headers or {}),
    )


async def _problem(request: Request, error: Exception) -> _ProblemResponse:
    assert isinstance(error, ProblemError)
    return _answer(request, error.status, error.detail, error.headers)


async def _parameter(request: Request, error: Exception) -> _ProblemResponse:
    assert isinstance(error, ParameterError)
    return _faulty(request, [error.fault])


async def _unknown_parameter(request: Request, error: Exception) -> _ProblemResponse:
    return _faulty(request, [])


async def _invalid(request: Request, error: Exception) -> _ProblemResponse:
    assert isinstance(error, RequestValidationError)
    return _faulty(
        request,
        [
            Fault(
                # The place of an item in a list is a number.
                parameter=str([part for part in fault["loc"] if isinstance(part, str)][-1]),
                detail=fault["msg"].removeprefix("Value error, "),
            )
            for fault in error.errors()
        ],
    )


def _faulty(request: Request, faults: list[Fault]) -> _ProblemResponse:
    """Return a 422 with these faults and the unknown or repeated parameters."""
    unknown = query_faults(request)
    faults = [*faults, *(Fault(parameter=name, detail=detail) for name, detail in unknown)]
    detail = "; ".join(f"{fault.parameter}: {fault.detail}" for fault in faults)
    return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, faults=faults)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = error.headers
    if error.status_code == HTTPStatus.NOT_FOUND:
        if request.scope["path"].endswith("/"):
            return _without_slash(request)
        if dashboard.wants_page(request):
            return dashboard.not_found(request)
        detail, headers = "There is nothing at this path; /openapi.json lists the paths.", _VARY
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not allowed here; use GET."
    else:
        detail = error.detail
    return _answer(request, error.status_code, detail, headers)


def _without_slash(request: Request) -> Response:
    """Redirect to the path without its last slash; relative, as a proxy may hide a prefix."""
    name = quote(request.scope["path"].split("/")[-2])
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"../{name}{query}")


async def _no_build(request: Request, error: Exception) -> _ProblemResponse:
    return _answer(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "There is no build of the marts yet; run `dora build`.",
        {"Retry-After": str(BUILD_SECONDS)},
    )


async def _unavailable(request: Request, error: Exception) -> _ProblemResponse:
    return _answer(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        str(error),
        {"Retry-After": str(RETRY_SECONDS)},
    )


async def _misconfigured(request: Request, error: Exception) -> _ProblemResponse:
    assert isinstance(error, ConfigurationError)
    logger.error("The configuration is invalid: %s", "; ".join(error.faults))
    return _answer(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The API's configuration is invalid; its log names the errors.",
    )


async def _unexpected(request: Request, error: Exception) -> _ProblemResponse:
    return _answer(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The API met an unexpected error; its log has the details.",
    )
