"""Keys, paths and the served site for the dashboard tests."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page

from dora.api_keys import new_key
from tests.api.api_support import Gate

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "screenshots"
AXE = ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
ALL_KEY, _ALL = new_key("all")
PAYMENTS_KEY, _PAYMENTS = new_key("payments-only", ["payments"])
KEYS = json.dumps([_ALL, _PAYMENTS])
Visit = Callable[..., Page]


@dataclass
class Site:
    """The served dashboard, its API, and the TCP proxy to its database."""

    url: str
    gate: Gate
    as_of: datetime
    app: FastAPI
    key: str = field(default=ALL_KEY, repr=False)

    def api(self, path: str) -> Any:
        answer = httpx.get(f"{self.url}{path}", headers={"X-API-Key": ALL_KEY})
        answer.raise_for_status()
        return answer.json()


def violations(page: Page) -> list[str]:
    """Return the serious and critical violations that axe finds."""
    # `evaluate` is not subject to the Content-Security-Policy, which blocks other scripts.
    page.evaluate(AXE.read_text("utf-8") + "; undefined")
    found: Any = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


@contextmanager
def served(application: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)
