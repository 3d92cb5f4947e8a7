#!/bin/sh
# httpx 0.28.1: a network in NO_PROXY is either fatal or ignored.
#
# With NO_PROXY=::1/128, creating a client always fails, even if no proxy is set and for every host.
# NO_PROXY=127.0.0.0/8 is accepted, but requests to 127.0.0.1 still go through the proxy. curl (from
# 7.86) treats both as networks.
#
# Output seen with Python 3.11:
#   NO_PROXY=::1/128: InvalidURL: Invalid port: ':1'
#   NO_PROXY=127.0.0.0/8: through the proxy
#   NO_PROXY=127.0.0.1: directly
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    httpx==0.28.1 httpcore==1.0.9 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
cat >"$folder/ask.py" <<'PYTHON'
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx


class Proxy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        # A request to a proxy has the full URL, a request to a server only the path.
        body = b"through the proxy" if self.path.startswith("http://") else b"directly"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = HTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}"
seen = []
for entry, has_proxy in (("::1/128", False), ("127.0.0.0/8", True), ("127.0.0.1", True)):
    os.environ["NO_PROXY"] = entry
    if has_proxy:
        os.environ["HTTP_PROXY"] = url
    try:
        with httpx.Client() as client:
            told = client.get(f"{url}/").text
    except httpx.InvalidURL as error:
        told = f"{type(error).__name__}: {error}"
    print(f"NO_PROXY={entry}: {told}")
    seen.append(told)
assert seen[0].startswith("InvalidURL"), "an IPv6 network is accepted now"
assert seen[1:] == ["through the proxy", "directly"], "an IPv4 network is understood now"
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
