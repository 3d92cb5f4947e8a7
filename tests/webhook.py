"""A webhook on this machine."""

import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Webhook:
    """An HTTP server that keeps what it receives; it answers as the first part of the path says."""

    def __init__(self, certificate: Path | None = None) -> None:
        """With a certificate and its key in one file, serve HTTPS."""
        self.received: list[dict[str, Any]] = []
        self.on_message: Callable[[], None] = lambda: None
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.received.append(json.loads(body))
                webhook.on_message()
                kind = self.path.split("/")[1]
                if kind == "hang":
                    time.sleep(3)
                if kind == "drop":
                    self.connection.close()
                    return
                self.send_response(int(kind) if kind.isdigit() else 200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
