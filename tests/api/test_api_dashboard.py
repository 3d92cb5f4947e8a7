"""How the API serves the dashboard, built or not."""

import re
from urllib.parse import urljoin

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


def test_program_gets_links_at_the_root(nowhere):
    answer = Client(nowhere, key=None).get("/", headers={"Accept": "*/*"})
    assert answer.json()["teams"] == "/teams"
    assert "Accept" in answer.headers["vary"]


def test_missing_dashboard_build_shows_build_instructions(nowhere, tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard.page, "__defaults__", (tmp_path,))
    answer = Client(nowhere, key=None).get("/", headers=HTML)
    assert answer.status_code == 200
    assert "make dashboard" in answer.text
    named = re.findall(r'href="(.+?)"', answer.text)
    assert [Client(nowhere).get(f"/{name[2:]}").status_code for name in named] == [503, 200]


@pytest.mark.parametrize(
    ("path", "home"),
    [
        pytest.param("/nowhere", "./", id="beside the front page"),
        pytest.param("/no/where/at/all?x=1", "./../../../", id="deep"),
        pytest.param("/assets/nothing.html", "./../", id="among the assets"),
        pytest.param("/", None, id="the front page itself"),
    ],
)
def test_browser_at_unknown_path_gets_404_page_with_link_home(
    nowhere, tmp_path, monkeypatch, path, home
):
    monkeypatch.setattr(dashboard.page, "__defaults__", (tmp_path,))
    (tmp_path / "404.html").write_text('<link href="./assets/a.css"><a href="./">Home</a>', "utf-8")
    (tmp_path / "index.html").write_text("<title>home</title>", "utf-8")
    answer = Client(nowhere, key=None).get(path, headers=HTML)
    assert answer.headers["content-type"].startswith("text/html")
    assert "Accept" in answer.headers["vary"]
    if home is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 404
    assert re.findall(r'href="(.+?)"', answer.text) == [f"{home}assets/a.css", home]
    assert urljoin(str(answer.url), home).endswith("127.0.0.1/")
    assert policy(answer)["default-src"] == "'none'"


def test_program_at_unknown_path_gets_a_problem(nowhere):
    for accept in ("*/*", "application/json", "text/csv"):
        answer = Client(nowhere, key=None).get("/nowhere", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Accept" in answer.headers["vary"]


def test_missing_dashboard_build_still_gives_404_page(nowhere, tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard.page, "__defaults__", (tmp_path,))
    answer = Client(nowhere, key=None).get("/no/where", headers=HTML)
    assert answer.status_code == 404
    assert 'href="./../health"' in answer.text


def test_assets_are_immutable_and_other_files_are_not_served(built):
    client = Client(built)
    answer = client.get("/assets/index-Ab12Cd34.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "javascript" in answer.headers["content-type"]
    for path in ("/assets/%2e%2e/secret.txt", "/assets/..%2fsecret.txt", "/assets/", "/assets/no"):
        assert client.get(path).status_code == 404
