"""`dora serve`: the socket that it listens on."""

import socket

import pytest

from cli.serve import listen
from dora.errors import ConfigurationError


def test_accepted_connection_has_tcp_nodelay() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_port_in_use_is_reported() -> None:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: .*; set --port"):
            listen("127.0.0.1", port)
