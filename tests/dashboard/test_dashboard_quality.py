"""Keyboard, screen reader, phone, downloads, weight."""

import gzip
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from dashboard_support import ROOT, Site, Visit, violations
from playwright.sync_api import Page, expect

Shot = Callable[[Page, str], None]
FIRST_LOAD_BYTES = 200_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Visit, shot: Shot, scheme: str) -> None:
    page = visit(scheme=scheme)
    expect(page.locator("tr[data-team]").first).to_be_visible()
    assert violations(page) == []
    page.locator("tr[data-team=payments]").get_by_role("link").click()
    expect(page.locator("a.column").first).to_be_visible()
    shot(page, f"team-{scheme}")
    assert violations(page) == []
    page.get_by_role("button", name="What is Weekly throughput?").click()
    page.get_by_role("button", name="Table").first.click()
    assert violations(page) == []
    page.locator("a.column").last.click()
    expect(page.locator(".pulls li").first).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("path", ["", "?team=payments", "?team=payments&month=2026-05-01", "docs"])
def test_a_phone_scrolls_down_and_never_sideways(visit: Visit, shot: Shot, path: str) -> None:
    page = visit(path, width=375)
    expect(page.locator(".pulls li, .tile, tr[data-team], .operation").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    shot(page, "phone" + re.sub(r"\W+", "-", path))


def test_a_phone_asks_for_the_key_within_its_width(visit: Visit, shot: Shot) -> None:
    page = visit(key=None, width=320, complaints=("401 (Unauthorized)",))
    expect(page.get_by_label("API key", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    shot(page, "phone-key")


def test_a_keyboard_goes_from_bar_to_pull_requests_and_back(site: Site, visit: Visit) -> None:
    weeks = site.api("metrics/team/payments/velocity")["data"]
    page = visit("?team=payments")
    chart = page.get_by_role("region", name="Weekly throughput", exact=True)
    bars = chart.locator("a.column")
    expect(bars).to_have_count(26)
    assert chart.locator("a.column[tabindex='0']").count() == 1
    bars.last.focus()
    page.keyboard.press("ArrowLeft")
    expect(bars.nth(24)).to_be_focused()
    expect(chart.locator(".tip")).to_contain_text(str(weeks[-2]["prs_merged"]))
    page.keyboard.press("Home")
    expect(bars.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").locator(".pulls li")).to_have_count(weeks[-25]["prs_merged"])
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(bars.nth(1)).to_be_focused()


def test_a_view_is_in_its_address(site: Site, visit: Visit) -> None:
    page = visit("?team=payments")
    page.get_by_role("button", name="13 weeks").click()
    page.get_by_role("combobox", name="Team").select_option("mobile")
    first = site.api("metrics/team/mobile/velocity")["data"][-13]["week"]
    expect(page).to_have_url(f"{site.url}?team=mobile&from={first}")
    page.get_by_label("To", exact=True).fill(
        (date.fromisoformat(first) + timedelta(27)).isoformat()
    )
    chart = page.get_by_role("region", name="Weekly throughput", exact=True)
    expect(chart.locator("a.column")).to_have_count(4)
    # Both days belong to it: a fifth week, of which its Monday alone is asked for.
    page.get_by_label("To", exact=True).fill(
        (date.fromisoformat(first) + timedelta(28)).isoformat()
    )
    expect(chart.locator("a.column")).to_have_count(5)
    page.go_back()
    expect(chart.locator("a.column")).to_have_count(4)
    other = visit(page.url.removeprefix(site.url))
    chart = other.get_by_role("region", name="Weekly throughput", exact=True)
    expect(chart.locator("a.column")).to_have_count(4)
    expect(other.get_by_role("heading", name="Mobile", exact=True)).to_be_visible()


def test_a_figure_says_what_it_means_in_the_words_of_the_definition(
    site: Site, visit: Visit
) -> None:
    page = visit("?team=payments")
    page.get_by_role("button", name="What is Average cycle time?").click()
    note = page.get_by_role("note").filter(visible=True)
    papers = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    meaning = re.search(r"\| `avg_cycle_time_hours` \| (.+) \|", papers)
    assert meaning
    expect(note).to_contain_text(meaning[1].replace("`", ""))
    weeks = site.api("metrics/team/payments/velocity")["data"]
    prs = next(week for week in reversed(weeks) if week["is_complete"])["prs_merged"]
    expect(note).to_contain_text(f"Rests on {prs} pull request")
    expect(note).to_contain_text(f"{site.as_of:%H:%M} UTC")


def test_charts_can_be_taken_away_as_csv_and_png(site: Site, visit: Visit, tmp_path: Path) -> None:
    page = visit("?team=payments")
    chart = page.get_by_role("region", name="Weekly cycle time", exact=True)
    with page.expect_download() as csv:
        chart.get_by_role("button", name="CSV").click()
    csv.value.save_as(tmp_path / "weeks.csv")
    lines = (tmp_path / "weeks.csv").read_text("utf-8").splitlines()
    row = site.api("metrics/team/payments/velocity")["data"][-1]
    assert lines[0] == ",".join(row)
    assert lines[-1].split(",")[:2] == [row["week"], str(row["prs_merged"])]
    with page.expect_download() as png:
        chart.get_by_role("button", name="PNG").click()
    png.value.save_as(tmp_path / "weeks.png")
    picture = (tmp_path / "weeks.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(picture[16:20]) > 600
    assert len(picture) > 10_000


def test_the_first_load_is_light_and_strictly_our_own(visit: Visit) -> None:
    page = visit(key=None, complaints=("401 (Unauthorized)", "TrustedHTML"))
    loaded: set[str] = set()
    page.on("request", lambda asked: loaded.add(asked.url))
    page.reload(wait_until="networkidle")
    expect(page.get_by_role("heading", name="Your API key")).to_be_visible()
    assert {Path(url).suffix for url in loaded} >= {".js", ".css", ".woff2"}
    html = {"Accept": "text/html"}
    sizes = {url: len(gzip.compress(httpx.get(url, headers=html).content)) for url in loaded}
    assert sum(sizes.values()) < FIRST_LOAD_BYTES, json.dumps(sizes, indent=1)
    injected = "() => { try { document.body.innerHTML = '<b>x</b>' } catch { return 'refused' } }"
    assert page.evaluate(injected) == "refused"
