"""Create the ASGI application; it reads settings and opens connections only when needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import openapi, problems
from api.auth import Access, BadKeys, KeyRing, KeySource
from api.dashboard import Assets
from api.database import MAX_CONNECTIONS, Marts
from api.middleware import Observed
from api.response_cache import ResponseCache
from api.responses import GZIP_FROM_BYTES, GZIP_LEVEL
from api.routes import (
    compare,
    delivery,
    deployments,
    groups,
    health,
    index,
    lead_time,
    pull_requests,
    reviews,
    teams,
    trends,
    velocity,
)
from dora.api_keys import configured_keys
from dora.database import address
from dora.schemas import Schemas
from dora.settings import Settings, load_settings

ROUTES = (
    index,
    health,
    teams,
    groups,
    velocity,
    lead_time,
    delivery,
    deployments,
    pull_requests,
    reviews,
    compare,
    trends,
)
DESCRIPTION = (
    "GitHub pull requests, attributed to teams by membership windows and allocation weights. "
    "Instants are in UTC, durations in hours. Missing data is null, never 0."
)


class _WithHeads:
    """Answers HEAD like GET: the same status and headers, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_head)


class _App(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        return Observed(_WithHeads(super().build_middleware_stack()))

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = openapi.complete(super().openapi())
        return self.openapi_schema


def create_app(
    settings: Settings | None = None,
    key_source: KeySource | None = None,
    is_demo: bool = False,
) -> FastAPI:
    """Make the application.

    With settings, malformed API keys raise `ConfigurationError` here. Without, settings are read
    from the environment when first needed. `key_source` returns the text of `API_KEYS` in place of
    the settings; it is called at most once a minute. The first query connects to the database.
    `is_demo` marks the data as demo data in `/health`; it ends on a fixed day and is not stale.
    """

    def current() -> Settings:
        return load_settings() if settings is None else settings

    keys = KeyRing(key_source or (lambda: configured_keys(current())))
    if settings is not None:
        keys.current()
    marts = Marts(lambda: address(current()), lambda: Schemas(current().dora_schema_prefix))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = MAX_CONNECTIONS
        yield
        marts.close()

    app = _App(
        title="dora-metrics",
        version="1",
        description=DESCRIPTION,
        openapi_tags=openapi.TAGS,
        servers=[{"url": "/", "description": "The server of this document"}],
        lifespan=lifespan,
        generate_unique_id_function=openapi.operation_id,
        # FastAPI's route ignores unknown parameters; its docs page loads third-party scripts.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # Starlette redirects to the scheme and host that it sees; a proxy may have changed them.
        redirect_slashes=False,
    )
    app.state.marts = marts
    app.state.cache = ResponseCache()
    app.state.is_demo = is_demo
    app.state.access = Access(keys, BadKeys())
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_FROM_BYTES, compresslevel=GZIP_LEVEL)
    problems.install(app)
    for route in ROUTES:
        app.include_router(route.router)
    app.mount("/assets", Assets())
    return app


app = create_app()
