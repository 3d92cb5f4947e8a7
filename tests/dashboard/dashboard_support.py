"""What the tests of the dashboard share: keys, places, the served site."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page

from dora.keys import new_key
from tests.api.api_support import Gate

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "screenshots"
AXE = ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
TOKEN = "a-token"
ALL_KEY, _ALL = new_key("all")
PAYMENTS_KEY, _PAYMENTS = new_key("payments-only", ["payments"])
KEYS = json.dumps([_ALL, _PAYMENTS])
Visit = Callable[..., Page]


@dataclass
class Site:
    """The served dashboard, what its API says, and the way to its database."""

    url: str
    gate: Gate
    as_of: datetime

    def api(self, path: str) -> Any:
        answer = httpx.get(f"{self.url}{path}", headers={"X-API-Key": ALL_KEY})
        answer.raise_for_status()
        return answer.json()
