"""How the API serves the dashboard, built or not."""

import re

import pytest
from api_support import Client
from starlette.applications import Starlette
from starlette.routing import Mount

from api import dashboard

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def built(tmp_path, monkeypatch):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>built</title>", "utf-8")
    (tmp_path / "assets" / "index-Ab12Cd34.js").write_text("export {}", "utf-8")
    (tmp_path / "secret.txt").write_text("not served", "utf-8")
    monkeypatch.setattr(dashboard.page, "__defaults__", (tmp_path,))
    return Starlette(routes=[Mount("/assets", dashboard.Assets(tmp_path))])


def policy(answer) -> dict[str, str]:
    parts = answer.headers["content-security-policy"].split("; ")
    return dict(part.partition(" ")[::2] for part in parts)


@pytest.mark.usefixtures("built")
def test_a_browser_gets_the_dashboard_without_a_key_or_a_database(nowhere):
    answer = Client(nowhere, key=None).get("/", headers=HTML)
    assert answer.status_code == 200
    assert "<title>built</title>" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
    assert "Accept" in answer.headers["vary"]
    rules = policy(answer)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_program_gets_addresses(nowhere):
    answer = Client(nowhere, key=None).get("/", headers={"Accept": "*/*"})
    assert answer.json()["teams"] == "/teams"
    assert "Accept" in answer.headers["vary"]


def test_without_a_build_the_page_says_how_to_make_one(nowhere, tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard.page, "__defaults__", (tmp_path,))
    answer = Client(nowhere, key=None).get("/", headers=HTML)
    assert answer.status_code == 200
    assert "make dashboard" in answer.text
    named = re.findall(r'href="(.+?)"', answer.text)
    assert [Client(nowhere).get(f"/{name}").status_code for name in named] == [503, 200]


def test_assets_are_kept_for_good_and_nothing_else_is_served(built):
    client = Client(built)
    answer = client.get("/assets/index-Ab12Cd34.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "javascript" in answer.headers["content-type"]
    for path in ("/assets/%2e%2e/secret.txt", "/assets/..%2fsecret.txt", "/assets/", "/assets/no"):
        assert client.get(path).status_code == 404
