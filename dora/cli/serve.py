"""`dora serve`: the API and the dashboard."""

from typing import Annotated

import typer

from dora.cli.console import say, set_up_logging
from dora.errors import ConfigurationError
from dora.settings import Settings, load_settings

HOST, PORT = "127.0.0.1", 8000


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = HOST,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = PORT,
) -> None:
    """Serve the marts as JSON."""
    settings = load_settings()
    set_up_logging(settings.log_level)
    serve_marts(settings, host, port)


def serve_marts(settings: Settings, host: str = HOST, port: int = PORT) -> None:
    """Serve until interrupted; raise `ConfigurationError` where the port is taken."""
    import socket

    import uvicorn

    from api.app import create_app
    from dora.keys import configured_keys

    # Read again while it serves: a key put into `.env` needs no restart.
    application = create_app(settings, key_source=lambda: configured_keys(load_settings()))
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from None
    say(f"serving on http://{host}:{port} (Ctrl-C ends it)")
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False))
    server.run(sockets=[listening])
