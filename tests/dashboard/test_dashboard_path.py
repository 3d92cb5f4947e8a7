"""A manager's path: front page, team, slow week, the pull requests behind it."""

import re
from collections.abc import Callable

from dashboard_support import Site, Visit
from playwright.sync_api import Page, expect


def one_decimal(value: float) -> str:
    return f"{value:,.1f}"


def complete(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["is_complete"]]


def test_from_the_front_page_to_the_pull_requests_behind_a_slow_week(
    site: Site, visit: Visit, shot: Callable[[Page, str], None]
) -> None:
    weeks = site.api("metrics/team/payments/velocity")["data"]
    months = site.api("metrics/team/payments/lead-time")["data"]
    page = visit()
    row = page.locator("tr[data-team=payments]")
    expect(row).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(site.url)))
    page.reload()
    last = complete(weeks)[-1]
    expect(row.locator(".figure").nth(0)).to_have_text(str(last["prs_merged"]))
    hours = one_decimal(last["avg_cycle_time_hours"])
    expect(row.locator(".figure").nth(1)).to_have_text(f"{hours} h")
    median = one_decimal(complete(months)[-1]["median_lead_time_hours"])
    expect(row.locator(".figure").nth(2)).to_have_text(f"{median} h")
    assert [url.partition("?")[0] for url in asked if "metrics" in url] == [
        "metrics/trends",
        "metrics/compare",
    ]
    shot(page, "front-light")

    row.get_by_role("link", name="Payments").click()
    chart = page.get_by_role("region", name="Weekly cycle time", exact=True)
    bars = chart.locator("a.column")
    expect(bars).to_have_count(26)
    for bar, week in zip(bars.all(), weeks[-26:], strict=True):
        said = (bar.get_attribute("aria-label") or "").replace("\xa0", " ")
        mean = week["avg_cycle_time_hours"]
        assert f"Average: {'no data' if mean is None else f'{one_decimal(mean)} h'}" in said
        assert ("not complete" in said) is not week["is_complete"]

    slow = max(weeks[-26:], key=lambda week: week["avg_cycle_time_hours"] or 0)
    at = weeks[-26:].index(slow)
    heights = [float(bar.get_attribute("height")) for bar in chart.locator("rect.bar").all()]
    assert max(heights) == heights[at - sum(w["prs_merged"] == 0 for w in weeks[-26:][:at])]
    bars.nth(at).click()
    expect(page).to_have_url(re.compile(rf"team=payments.*week={slow['week']}"))
    pulls = page.get_by_role("dialog").locator(".pulls li")
    expect(pulls).to_have_count(slow["prs_merged"])
    shown = [
        float(text[:-2].replace(",", "")) for text in pulls.locator(".figure").all_text_contents()
    ]
    assert shown == sorted(shown, reverse=True)
    assert abs(sum(shown) / len(shown) - slow["avg_cycle_time_hours"]) < 0.1
    link = pulls.first.get_by_role("link")
    assert re.fullmatch(r"https://github\.com/.+/pull/\d+", link.get_attribute("href") or "")
    shot(page, "pull-requests")

    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("dialog").locator(".pulls li")).to_have_count(slow["prs_merged"])


def test_pull_requests_are_sorted_longest_first_or_newest_first(site: Site, visit: Visit) -> None:
    path = "metrics/team/payments/pull-requests?from=2026-05-01&to=2026-05-31"
    newest = [f"{pull['cycle_time_hours']:,.1f}\xa0h" for pull in site.api(path)["data"]]
    longest = sorted(newest, key=lambda text: -float(text[:-2].replace(",", "")))
    assert newest not in (longest, longest[::-1])
    page = visit("?team=payments&month=2026-05-01")
    shown = page.get_by_role("dialog").locator(".pulls .figure")
    expect(shown).to_have_text(longest)
    page.get_by_role("button", name="Longest first").click()
    expect(shown).to_have_text(newest)
