"""One demo organisation, one API and one browser for all tests of the dashboard."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from dashboard_support import ALL_KEY, KEYS, ROOT, SHOTS, Site, Visit, served
from playwright.sync_api import Browser, Page, sync_playwright
from pydantic import SecretStr

from api.app import create_app
from dora.database import Database
from dora.settings import Settings
from tests.api.api_support import Gate


@pytest.fixture(scope="session")
def built() -> Path:
    """The built dashboard. One worker builds it if it is missing or outdated; others wait."""
    with (ROOT / "dashboard" / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "dashboard"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"`make dashboard` failed: {done.stderr[-300:]}")
    return ROOT / "dashboard" / "dist"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(
            "Chromium is not installed; run `apt-get install chromium` or install Google Chrome"
        )
    return str(program)


@pytest.fixture(scope="session")
def site(built: Path, chromium: str, demo: Database) -> Iterator[Site]:
    gate = Gate(demo.url)
    settings = Settings(
        _env_file=None,
        db_url=SecretStr(gate.url),
        api_keys=SecretStr(KEYS),
    )
    app = create_app(settings)
    with served(app) as url:
        found = httpx.get(f"{url}health").json()["as_of"]
        yield Site(url, gate, datetime.fromisoformat(found), app)
    gate.close()


# Module scope, because other tests in this process cannot start an event loop while it exists.
@pytest.fixture(scope="module")
def browser(site: Site, chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's sandbox refuses to run as root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Visit]:
    """Open a page one hour after the data was loaded; browser errors fail the test.

    `complaints` are expected errors, such as the browser's message about a 401.
    """
    contexts = []
    seen: list[str] = []
    expected: list[str] = []

    def open_page(
        path: str = "",
        key: str | None = ALL_KEY,
        width: int = 1280,
        scheme: Any = "light",
        hours_later: float = 1,
        complaints: tuple[str, ...] = (),
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        expected.extend(complaints)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: seen.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                seen.append(f"requests {asked.url}")
                if not asked.url.startswith((site.url, "blob:"))
                else None
            ),
        )
        page.clock.install(time=site.as_of + timedelta(hours=hours_later))
        if key is not None:
            page.add_init_script(
                f"sessionStorage.getItem('seen') || (sessionStorage.setItem('seen', 1),"
                f" sessionStorage.setItem('dora-metrics.api-key', {json.dumps(key)}))"
            )
        page.goto(site.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [line for line in seen if not any(each in line for each in expected)] == []


@pytest.fixture
def shot() -> Callable[[Page, str], None]:
    def take(page: Page, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    return take
