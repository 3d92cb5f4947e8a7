#!/bin/sh
# apprise 2.3.0: Slack messages without blocks mention people whom the text does not mention.
#
# Unless the URL has blocks=yes, text without a declared format is first escaped for Slack, and then
# every `@name>` and `!name>` becomes Slack's mention, even if it was escaped by the caller or has no
# `<` before it. So a Java annotation in the title of a pull request, or `a!here>b`, notifies people.
# Text with body_format="text" stays literal.
#
# Output seen with Python 3.11:
#   Return Optional<@Nullable>  ->  Return Optional<@Nullable>
#   if (!here> 0)  ->  if (<!here> 0)
#   with body_format=text  ->  if (!here&gt; 0)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    apprise==2.3.0 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
cat >"$folder/send.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from apprise import Apprise
from apprise.plugins.slack import NotifySlack


class Slack(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(message["attachments"][0]["text"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


server = HTTPServer(("127.0.0.1", 0), Slack)
threading.Thread(target=server.serve_forever, daemon=True).start()
NotifySlack.webhook_url = f"http://127.0.0.1:{server.server_port}"
sender = Apprise("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7")
for text, declared in (
    ("Return Optional<@Nullable>", None),
    ("if (!here> 0)", None),
    ("if (!here> 0)", "text"),
):
    print(f'{text if declared is None else "with body_format=" + declared}  ->  ', end="", flush=True)
    sender.notify(body=text, body_format=declared)
PYTHON
"$folder/venv/bin/python" "$folder/send.py"
