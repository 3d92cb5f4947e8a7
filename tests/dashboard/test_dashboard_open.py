"""A team's open pull requests."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from dashboard_support import Site, Visit, violations
from playwright.sync_api import Page, expect

OPEN = "metrics/team/platform/pull-requests?state=open&limit=1000"
NAMES = {
    "waiting_for_review": "Waiting for review",
    "changes_requested": "Changes requested",
    "approved": "Approved, not merged",
    "draft": "Draft",
}


def hours(value: float) -> str:
    return f"{value:,.1f}\xa0h"


def test_open_pull_requests_are_those_of_the_api_oldest_first(site: Site, visit: Visit) -> None:
    answer = site.api(OPEN)
    summary, rows = answer["summary"], answer["data"]
    assert len(rows) == summary["open"] > 2
    page = visit("?team=platform")
    page.get_by_role("navigation", name="View").get_by_role("link", name="Open now").click()
    expect(page).to_have_url(f"{site.url}?team=platform&view=open")
    listed = page.locator(".pulls > li")
    expect(listed.locator(".figure")).to_have_text([hours(row["age_hours"]) for row in rows])
    expect(listed.locator(".chip")).to_have_text([NAMES[row["status"]] for row in rows])
    for line, row in zip(listed.all(), rows, strict=True):
        expect(line.get_by_role("link")).to_have_attribute("href", row["url"])
        expect(line).to_contain_text(f"{row['repository']}#{row['number']} · {row['author']}")
    said = page.locator(".insight")
    expect(said).to_contain_text(f"{summary['open']} pull requests open")
    expect(said).to_contain_text(f"median age of {hours(summary['median_age_hours'])}")
    expect(said).to_contain_text(hours(summary["median_cycle_time_hours"]))
    expect(said).to_contain_text(f"median of {summary['recently_merged']} merged")


def test_status_is_in_the_address_and_selects_the_rows(site: Site, visit: Visit) -> None:
    answer = site.api(OPEN)
    statuses = [row["status"] for row in answer["data"]]
    page = visit("?team=platform&view=open")
    tabs = page.get_by_role("navigation", name="Status").get_by_role("link")
    expected = {"All": len(statuses)} | {
        name: statuses.count(status) for status, name in NAMES.items()
    }
    expect(tabs).to_have_text([f"{name} {many}" for name, many in expected.items()])
    status = max(NAMES, key=statuses.count)
    link = tabs.filter(has_text=NAMES[status])
    link.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}?team=platform&view=open&status={status}")
    expect(page.locator(".pulls > li")).to_have_count(statuses.count(status))
    expect(link).to_have_attribute("aria-current", "true")
    page.go_back()
    expect(page.locator(".pulls > li")).to_have_count(len(statuses))
    other = visit(f"?team=platform&view=open&status={status}")
    expect(other.locator(".pulls > li")).to_have_count(statuses.count(status))
    page.get_by_role("link", name="Flow").click()
    expect(page).to_have_url(f"{site.url}?team=platform")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_open_pull_requests_pass_axe(
    visit: Visit, shot: Callable[[Page, str], None], scheme: str
) -> None:
    page = visit("?team=platform&view=open", scheme=scheme)
    expect(page.locator(".pulls > li").first).to_be_visible()
    shot(page, f"open-{scheme}")
    assert violations(page) == []
    page.get_by_role("button", name="What is Age and status?").click()
    note = page.get_by_role("note").filter(visible=True)
    expect(note).to_contain_text("as_of - created_at, the time as a draft included")
    assert violations(page) == []


def test_open_pull_requests_fit_a_phone(visit: Visit, shot: Callable[[Page, str], None]) -> None:
    page = visit("?team=platform&view=open", width=375)
    expect(page.locator(".pulls > li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    shot(page, "phone-open")


def test_open_pull_requests_are_printed_without_controls(visit: Visit) -> None:
    page = visit("?team=platform&view=open")
    expect(page.locator(".pulls > li").first).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".pulls > li").last).to_be_visible()
    expect(page.get_by_role("navigation", name="Status")).to_be_hidden()
    expect(page.get_by_role("button", name="CSV")).to_be_hidden()


def test_csv_of_open_pull_requests_has_the_listed_rows(
    site: Site, visit: Visit, tmp_path: Path
) -> None:
    rows = site.api(OPEN)["data"]
    status = rows[0]["status"]
    urls = [row["url"] for row in rows if row["status"] == status]
    assert len(urls) < len(rows)
    page = visit(f"?team=platform&view=open&status={status}")
    with page.expect_download() as file:
        page.get_by_role("button", name="CSV").click()
    file.value.save_as(tmp_path / "open.csv")
    text = (tmp_path / "open.csv").read_text("utf-8-sig")
    assert [row["url"] for row in csv.DictReader(io.StringIO(text, newline=""))] == urls


def test_unknown_status_in_the_address_is_ignored(site: Site, visit: Visit) -> None:
    page = visit("?team=platform&view=open&status=stuck")
    expect(page.locator(".pulls > li")).to_have_count(len(site.api(OPEN)["data"]))
    page.get_by_role("combobox", name="Team").select_option("mobile")
    expect(page).to_have_url(re.compile(r"\?team=mobile&view=open$"))
