"""Keyboard, screen reader, phone, downloads, page size."""

import gzip
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from dashboard_support import ROOT, Site, Visit, violations
from playwright.sync_api import Page, expect

# The background colour of an element as the browser draws it: red, green, blue.
COLOUR_OF = """selector => {
    const context = new OffscreenCanvas(1, 1).getContext('2d')
    context.fillStyle = getComputedStyle(document.querySelector(selector)).backgroundColor
    context.fillRect(0, 0, 1, 1)
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3)
}"""
# Every colour in the top rows of an image.
COLOURS_ABOVE = """async ([bytes, rows]) => {
    const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]))
    const context = new OffscreenCanvas(image.width, rows).getContext('2d')
    context.drawImage(image, 0, 0)
    const { data } = context.getImageData(0, 0, image.width, rows)
    const seen = new Map()
    for (let at = 0; at < data.length; at += 4) {
        const colour = [data[at], data[at + 1], data[at + 2]]
        seen.set(colour.join(), colour)
    }
    return [...seen.values()]
}"""
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


def test_key_form_fits_a_phone(visit: Visit, shot: Shot) -> None:
    page = visit(key=None, width=320, complaints=("401 (Unauthorized)",))
    expect(page.get_by_label("API key", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    shot(page, "phone-key")


def test_keyboard_opens_and_closes_the_pull_requests_of_a_bar(site: Site, visit: Visit) -> None:
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


def test_url_contains_the_state_of_the_view(site: Site, visit: Visit) -> None:
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
    # Both dates are inclusive: a fifth week, of which only the Monday is selected.
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


def test_help_of_a_figure_shows_its_definition(site: Site, visit: Visit) -> None:
    page = visit("?team=payments")
    page.get_by_role("button", name="What is Average cycle time?").click()
    note = page.get_by_role("note").filter(visible=True)
    papers = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    meaning = re.search(r"\| `avg_cycle_time_hours` \| (.+) \|", papers)
    assert meaning
    expect(note).to_contain_text(meaning[1].replace("`", ""))
    weeks = site.api("metrics/team/payments/velocity")["data"]
    prs = next(week for week in reversed(weeks) if week["is_complete"])["prs_merged"]
    expect(note).to_contain_text(f"Based on {prs} pull request")
    expect(note).to_contain_text(f"{site.as_of:%H:%M} UTC")


def test_charts_can_be_downloaded_as_csv_and_png(site: Site, visit: Visit, tmp_path: Path) -> None:
    page = visit("?team=payments")
    chart = page.get_by_role("region", name="Weekly cycle time", exact=True)
    with page.expect_download() as csv:
        chart.get_by_role("button", name="CSV").click()
    csv.value.save_as(tmp_path / "weeks.csv")
    text = (tmp_path / "weeks.csv").read_text("utf-8")
    # The byte order mark tells a spreadsheet that the file is UTF-8.
    assert text[0] == "\ufeff"
    lines = text[1:].splitlines()
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
    accent = page.evaluate(COLOUR_OF, ".legend i.accent")
    height = chart.locator(".frame svg").first.bounding_box()["height"]  # type: ignore[index]
    # The legend is above the chart; the image has twice the resolution of the chart.
    head = int.from_bytes(picture[20:24]) - 2 * int(height)
    assert accent in page.evaluate(COLOURS_ABOVE, [list(picture), head - 60])


def test_png_contains_the_whole_description_at_any_width(visit: Visit, tmp_path: Path) -> None:
    heights = []
    for width in (1280, 375):
        page = visit("?team=payments", width=width)
        chart = page.get_by_role("region", name="Monthly lead time", exact=True)
        with page.expect_download() as png:
            chart.get_by_role("button", name="PNG").click()
        png.value.save_as(tmp_path / "months.png")
        heights.append(int.from_bytes((tmp_path / "months.png").read_bytes()[20:24]))
    assert heights[1] > heights[0] + 40


def test_open_list_is_printed_alone_and_in_full(site: Site, visit: Visit, tmp_path: Path) -> None:
    months = site.api("metrics/team/payments/lead-time")["data"]
    month = max(months, key=lambda one: one["prs_merged"])["month"]
    page = visit(f"?team=payments&month={month}")
    expect(page.locator(".pulls li").first).to_be_visible()
    dialog = page.get_by_role("dialog")
    cut = "d => d.scrollHeight > d.clientHeight"
    assert dialog.evaluate(cut)
    page.emulate_media(media="print")
    assert not dialog.evaluate(cut)
    expect(page.get_by_role("region", name="Weekly throughput", exact=True)).to_be_hidden()
    pages = len(re.findall(rb"/Type /Page\b", page.pdf(format="A4")))
    height = dialog.evaluate("d => d.scrollHeight")
    assert pages > 1
    assert pages <= height / 900 + 1


def test_phases_differ_in_lightness(visit: Visit) -> None:
    for scheme in ("light", "dark"):
        page = visit("?team=payments", scheme=scheme)
        expect(page.locator("a.column").first).to_be_visible()
        names = ["coding", "draft", "pickup", "review"]
        found = [luminance(page.evaluate(COLOUR_OF, f".legend i.{name}")) for name in names]
        ordered = sorted(found)
        for darker, lighter in itertools.pairwise(ordered):
            assert (lighter + 0.05) / (darker + 0.05) > 1.6, dict(zip(names, found, strict=True))


def luminance(colour: list[int]) -> float:
    """Return the relative luminance as WCAG defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (one / 255 for one in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_axis_stays_visible_if_a_chart_scrolls(visit: Visit) -> None:
    page = visit("?team=payments&from=2024-12-23", width=375)
    chart = page.get_by_role("region", name="Weekly throughput", exact=True)
    scroll = chart.locator(".scroll")
    expect(chart.locator("a.column").first).to_be_attached()
    assert scroll.evaluate("e => e.scrollLeft") > 0
    drawn, stays = (
        chart.locator(f"{place} .axis[text-anchor=end]") for place in (".scroll", ".axis-stays")
    )
    assert stays.all_text_contents() == drawn.all_text_contents() != []
    frame = chart.locator(".frame").bounding_box()
    for label in stays.all():
        box = label.bounding_box()
        assert frame
        assert box
        assert box["x"] >= frame["x"] - 1


def test_first_load_is_small_and_blocks_injected_html(visit: Visit) -> None:
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


def test_slow_build_prints_no_warning(built: Path, tmp_path: Path) -> None:
    slow = "transform() { const end = Date.now() + 60; while (Date.now() < end); return null }"
    configuration = tmp_path / "slow.mjs"
    configuration.write_text(
        f"import ours from {json.dumps((ROOT / 'dashboard' / 'vite.config.ts').as_uri())}\n"
        f"const slow = {{ name: 'slow', {slow} }}\n"
        "export default { ...ours, plugins: [...ours.plugins, slow] }\n",
        "utf-8",
    )
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    command = ["node", "node_modules/vite/bin/vite.js", "build", "--configLoader", "native"]
    command += ["--config", str(configuration), "--outDir", str(tmp_path / "dist")]
    done = subprocess.run(
        [*command, "--emptyOutDir", "--logLevel", "warn"],
        cwd=ROOT / "dashboard",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (tmp_path / "dist" / "404.html").exists()
    assert done.stdout + done.stderr == ""
