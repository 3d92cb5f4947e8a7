"""Start a Superset that has imported docs/bi/superset, and read its charts in a browser."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import yaml
from playwright.sync_api import Browser, Response
from superset_bundle import BUNDLE, CHARTS, charts_of

CONFIG = """
SECRET_KEY = "{secret}"
SQLALCHEMY_DATABASE_URI = "sqlite:///{home}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
"""
SECONDS = 180


@dataclass
class Superset:
    url: str
    password: str = field(repr=False)

    @contextmanager
    def session(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url, timeout=SECONDS) as client:
            form = {"username": "admin", "password": self.password}
            assert client.post("/login/", data=form).headers["location"] == "/"
            yield client

    def answers(self, browser: Browser, dashboard: dict[str, Any], query: str = "") -> Any:
        """Open a dashboard; return the API's answer to each of its charts, by the chart's name."""
        expected = {CHARTS[uuid]["slice_name"] for uuid in charts_of(dashboard)}
        with self.session() as client:
            charts = client.get("/api/v1/chart/", params={"q": "(page_size:100)"}).json()["result"]
            names = {chart["id"]: chart["slice_name"] for chart in charts}
            cookies: Any = [
                {"name": name, "value": value, "url": self.url}
                for name, value in client.cookies.items()
            ]
        # A page that shows the whole dashboard: charts outside the window are not loaded.
        context = browser.new_context(viewport={"width": 1400, "height": 6000})
        context.add_cookies(cookies)
        page = context.new_page()
        responses: list[Response] = []
        page.on("response", lambda one: responses.append(one) if chart_of(one) else None)
        page.goto(f"{self.url}/superset/dashboard/{dashboard['slug']}/{query}")
        until = time.monotonic() + SECONDS
        while (loaded := {names[chart_of(one)] for one in responses}) != expected:
            assert time.monotonic() < until, f"not loaded: {expected - loaded}"
            page.wait_for_timeout(500)
        # A filter with a default value may ask a second time; its answer comes last.
        page.wait_for_load_state("networkidle")
        last = {names[chart_of(one)]: one for one in responses}
        found = {name: response.json()["result"][0] for name, response in last.items()}
        context.close()
        return found


def chart_of(response: Response) -> int:
    """The id of the chart whose data this is; 0 if it is something else."""
    address = urlsplit(response.url)
    if address.path != "/api/v1/chart/data":
        return 0
    return int(json.loads(parse_qs(address.query).get("form_data", ["{}"])[0]).get("slice_id", 0))


def pack(folder: Path, changes: dict[str, dict[str, str]]) -> Path:
    """Change values in files of the bundle and pack it, both as docs/bi.md says."""
    copy = shutil.copytree(BUNDLE, folder / "superset")
    for name, values in changes.items():
        content = yaml.safe_load((copy / name).read_text("utf-8"))
        (copy / name).write_text(yaml.safe_dump(content | values), "utf-8")
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", "dora-metrics.zip", "superset"],
        cwd=folder,
        check=True,
    )
    return folder / "dora-metrics.zip"


@contextmanager
def superset(program: str, database: str, home: Path) -> Iterator[Superset]:
    """Run a Superset whose metadata is in `home`; `database` is the address of the marts."""
    config = home / "superset_config.py"
    config.write_text(CONFIG.format(secret=secrets.token_hex(), home=home), "utf-8")
    environment = os.environ | {"SUPERSET_CONFIG_PATH": str(config), "SUPERSET_HOME": str(home)}
    password = secrets.token_hex()

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]

    run("db", "upgrade")
    names = ["--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "a@b.example"]
    run("fab", "create-admin", *names, "--password", password)
    run("init")
    bundle = pack(home, {"databases/dora_metrics.yaml": {"sqlalchemy_uri": database}})
    run("import-dashboards", "--path", str(bundle), "--username", "admin")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    log = (home / "superset.log").open("wb")
    server = subprocess.Popen([program, "run", "--port", port], env=environment, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        yield Superset(f"http://127.0.0.1:{port}", password)
    finally:
        server.terminate()
        server.wait()
        log.close()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            httpx.get(url).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(1)
    raise AssertionError("Superset does not answer")
