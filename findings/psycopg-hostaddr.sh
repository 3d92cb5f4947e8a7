#!/bin/sh
# psycopg 3.3.9: ConnectionInfo.get_parameters() has a `hostaddr` that nobody gave.
#
# psycopg resolves the host's name itself and hands libpq the address beside it. What
# get_parameters() returns ("without the password and the parameters at their default") holds that
# address, so whoever connects with these parameters later, or exports PGHOSTADDR, goes to the
# machine that the name meant then: after a failover, the wrong one. psycopg2 does not have it.
#
# Output seen with Python 3.11:
#   psycopg 3: host localhost, hostaddr 127.0.0.1
#   psycopg2: host localhost, hostaddr None
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    psycopg==3.3.9 psycopg-binary==3.3.9 psycopg2-binary==2.9.13 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
cat >"$folder/connect.py" <<'PYTHON'
import socket
import struct
import threading

import psycopg
import psycopg2


def told(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


# What a server says that lets everybody in and is ready; nothing is asked of it after that.
WELCOME = b"".join(
    (
        told(b"R", struct.pack("!I", 0)),
        told(b"S", b"server_version\0" b"18.0\0"),
        told(b"S", b"client_encoding\0UTF8\0"),
        told(b"S", b"DateStyle\0ISO, MDY\0"),
        told(b"Z", b"I"),
    )
)


def welcome(listening: socket.socket) -> None:
    while True:
        client, _ = listening.accept()
        client.recv(4096)
        client.sendall(WELCOME)
        clients.append(client)


clients: list[socket.socket] = []
listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=welcome, args=[listening], daemon=True).start()
port = listening.getsockname()[1]
address = f"host=localhost port={port} user=me dbname=d sslmode=disable gssencmode=disable"
third = psycopg.connect(address, autocommit=True).info.get_parameters()
print(f"psycopg 3: host {third['host']}, hostaddr {third.get('hostaddr')}")
second = psycopg2.connect(address).info.dsn_parameters
print(f"psycopg2: host {second['host']}, hostaddr {second.get('hostaddr')}")
assert third.get("hostaddr") == "127.0.0.1", "the address is not among the parameters any more"
assert "hostaddr" not in second
PYTHON
timeout 60 "$folder/venv/bin/python" "$folder/connect.py"
