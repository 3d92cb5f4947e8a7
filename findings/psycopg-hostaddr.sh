#!/bin/sh
# psycopg 3.3.9: ConnectionInfo.get_parameters() has a `hostaddr` that the caller did not set.
#
# psycopg resolves the host name and passes the address to libpq together with the name. The result of
# get_parameters() ("without the password and the parameters at their default") contains that
# address. A program that later connects with these parameters, or exports PGHOSTADDR, reaches the
# machine to which the name resolved before: after a failover, the wrong one. psycopg2 does not add it.
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


# The messages of a server that accepts every login and is ready; no query follows.
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
