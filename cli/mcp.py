"""`dora mcp`: tools with which an assistant reads the figures (Model Context Protocol)."""

import signal
import sys
from typing import Annotated

import typer

from cli.console import say, set_up_logging
from cli.demo_github import with_demo_database
from cli.serve import HOST, listen, serve_application
from dora.errors import ConfigurationError
from dora.settings import Settings, load_settings


def mcp(
    port: Annotated[
        int | None,
        typer.Option(
            help="Serve over HTTP on this port, with API keys; default: stdin and stdout.",
            min=1,
            max=65535,
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help=f"Address to listen on with --port; default: {HOST}.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Read the demo organisation.")] = False,
) -> None:
    """Give an assistant read-only tools over the figures."""
    if host is not None and port is None:
        raise ConfigurationError(f"--host {host} needs --port, the port to serve HTTP on")
    settings = load_settings()
    set_up_logging(settings.log_level)
    if demo:
        settings = with_demo_database(settings)
    if port is None:
        _serve_stdio(settings)
    else:
        _serve_http(settings, host or HOST, port)


def _serve_stdio(settings: Settings) -> None:
    """Serve one assistant, which started this process, until it closes stdin."""
    import anyio
    from mcp.server.stdio import stdio_server

    from api.app import create_app
    from cli.mcp_server import make_server

    if sys.stdin.isatty():
        say("an assistant starts this command and talks to it on stdin: docs/assistants.md")
    # A thread of the SDK waits for stdin and would keep the process alive.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Whoever can start this process has the database's password: a key would protect nothing.
    server = make_server(create_app(settings, key_source=lambda: None))

    async def serve() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(serve)


def _serve_http(settings: Settings, host: str, port: int) -> None:
    from mcp.server.transport_security import TransportSecuritySettings

    from api.app import create_app
    from cli.mcp_server import make_server
    from dora.api_keys import configured_keys

    listening = listen(host, port)
    app = create_app(settings, key_source=lambda: configured_keys(load_settings()))
    application = make_server(app).streamable_http_app(
        stateless_http=True,
        json_response=True,
        # The API checks `Host` itself. This check would refuse every request of a local proxy.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    serve_application(application, listening, "/mcp")
