"""`dora serve`: the API and the dashboard."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import say, set_up_logging
from cli.demo_github import with_demo_database
from dora.errors import ConfigurationError
from dora.settings import Settings, load_settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

HOST, PORT = "127.0.0.1", 8000


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = HOST,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = PORT,
    demo: Annotated[bool, typer.Option("--demo", help="Serve the demo organisation.")] = False,
) -> None:
    """Serve the API and the dashboard."""
    settings = load_settings()
    set_up_logging(settings.log_level)
    if demo:
        settings = with_demo_database(settings)
    serve_marts(settings, listen(host, port), is_demo=demo)


def listen(host: str, port: int) -> socket.socket:
    """Open the port before any other work; raise `ConfigurationError` if it is in use."""
    try:
        listening = socket.create_server((host, port))
        # asyncio sets this only on sockets that it creates. Without it, each body waits 40 ms after
        # its headers if the client delays its acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"cannot listen on {host}:{port}: {reason}; set --port") from None


def serve_marts(
    settings: Settings,
    listening: socket.socket,
    *,
    is_demo: bool = False,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve API and dashboard until interrupted; run `beside` meanwhile, and cancel it at the end.

    Settings are read again while serving: a key added to `.env` needs no restart.
    """
    from api.app import create_app
    from dora.api_keys import configured_keys

    application = create_app(
        settings, key_source=lambda: configured_keys(load_settings()), is_demo=is_demo
    )
    if beside is not None:
        router = application.router
        router.lifespan_context = _with_task(router.lifespan_context, beside)
    serve_application(application, listening)


def serve_application(application: "Starlette", listening: socket.socket, path: str = "") -> None:
    """Serve an ASGI application until interrupted; `path` is shown after its address."""
    import uvicorn

    host, port = listening.getsockname()[:2]
    say(f"serving on http://{host}:{port}{path} (press Ctrl-C to stop)")
    # uvicorn would use httptools if that is installed, but it accepts headers of any size.
    config = uvicorn.Config(application, http="h11", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def _with_task(
    lifespan: Callable[[Any], AbstractAsyncContextManager[Any]],
    beside: Callable[[], Coroutine[Any, Any, None]],
) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    """Return a lifespan that also runs a task, and cancels it before it ends."""

    @asynccontextmanager
    async def with_task(application: Any) -> AsyncIterator[Any]:
        async with lifespan(application) as state:
            task = asyncio.create_task(beside())
            try:
                yield state
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    return with_task
