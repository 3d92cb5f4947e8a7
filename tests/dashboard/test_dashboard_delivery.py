"""The Delivery view shows the figures of the API, in both themes and by keyboard."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from dashboard_support import Site, Visit, violations
from playwright.sync_api import Page, expect

Shot = Callable[[Page, str], None]
TEAM = "?team=payments&view=delivery"


def months(site: Site, team: str = "payments") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = site.api(f"metrics/team/{team}/delivery?unit=month")["data"]
    return rows


def last_whole(site: Site, team: str = "payments") -> dict[str, Any]:
    return [row for row in months(site, team) if row["is_complete"]][-1]


def shown(row: dict[str, Any]) -> dict[str, str]:
    """Return the five figures as the dashboard formats them."""
    nothing = "nothing deployed"
    hours = {
        name: f"{row[name]:,.1f} h"
        for name in ("median_change_lead_time_hours", "median_recovery_hours")
        if row[name] is not None
    }
    rates = {
        name: f"{int(row[name] * 100 + 0.5)}%"
        for name in ("change_fail_rate", "deployment_rework_rate")
        if row[name] is not None
    }
    return {
        "median_change_lead_time_hours": nothing,
        "deployments": str(row["deployments"]),
        "change_fail_rate": nothing,
        "median_recovery_hours": "no recoveries",
        "deployment_rework_rate": nothing,
        **hours,
        **rates,
    }


def text_of(text: str | None) -> str:
    return re.sub(r"\s+", " ", (text or "").replace("\u00a0", " ")).strip()


def test_team_page_shows_the_metrics_of_the_last_complete_month(site: Site, visit: Visit) -> None:
    page = visit(TEAM)
    expect(page.locator(".tile")).to_have_count(5)
    for name, expected in shown(last_whole(site)).items():
        tile = text_of(page.locator(f"[data-figure={name}]").text_content())
        assert tile.startswith(expected), name


def test_front_page_has_a_row_per_team(site: Site, visit: Visit) -> None:
    page = visit()
    page.get_by_role("link", name="Delivery", exact=True).click()
    expect(page).to_have_url(f"{site.url}?view=delivery")
    lines = page.locator("tr[data-team]")
    expect(lines.first).to_be_visible()
    for team in ("payments", "mobile"):
        cells = page.locator(f"tr[data-team={team}] td .figure").all_text_contents()
        assert [text_of(cell) for cell in cells] == list(shown(last_whole(site, team)).values())
    page.locator("tr[data-team=mobile]").get_by_role("link").click()
    expect(page).to_have_url(f"{site.url}?team=mobile&view=delivery")


def test_not_measured_nothing_deployed_and_figures_look_different(site: Site, visit: Visit) -> None:
    weeks = site.api("metrics/team/payments/delivery")["data"]
    page = visit(TEAM)
    page.get_by_role("button", name="All").click()
    chart = page.get_by_role("region", name="Weekly deployments", exact=True)
    expect(chart.locator("a.column")).to_have_count(len(weeks))
    unmeasured = [week for week in weeks if week["deployments"] is None]
    idle = [week for week in weeks if week["deployments"] == 0]
    assert unmeasured
    assert idle
    expect(chart.locator("a.column rect.unmeasured")).to_have_count(len(unmeasured))
    expect(chart.locator("a.column text")).to_have_count(len(idle))
    expect(chart.locator(".legend")).to_contain_text("not measured")
    without = [
        row
        for row in months(site)
        if row["deployments"] is not None and not row["failures_recovered"]
    ]
    chart = page.get_by_role("region", name="Monthly recovery time", exact=True)
    expect(chart.locator("a.column rect.nothing")).to_have_count(len(without))


def test_stages_add_up_to_the_total(site: Site, visit: Visit) -> None:
    page = visit(TEAM)
    chart = page.get_by_role("region", name="Monthly change lead time by stage", exact=True)
    row = last_whole(site)
    stages = ("coding", "draft", "pickup", "review", "deploy")
    whole = sum(row[f"avg_{stage}_hours"] for stage in stages)
    column = chart.locator("a.column").nth(-2)
    expect(column).to_have_attribute("aria-label", re.compile(f"Total: {whole:,.1f}.h"))


def test_a_bar_lists_its_deployments_with_changes_causes_and_incidents(
    site: Site, visit: Visit, shot: Shot
) -> None:
    team, month = next(
        (team["id"], row)
        for team in site.api("teams")["data"]
        for row in months(site, team["id"])
        if row["failed_by_incident"]
    )
    first = date.fromisoformat(month["month"])
    last = (first + timedelta(31)).replace(day=1) - timedelta(1)
    found = site.api(f"metrics/team/{team}/deployments?from={first}&to={last}&limit=200")
    assert "next_cursor" not in found
    page = visit(f"?team={team}&view=delivery&month={first}")
    sheet = page.get_by_role("dialog")
    expect(sheet.locator(".pulls > li").first).to_be_visible()
    listed = {row["deployment_id"]: row for row in found["data"]}
    links = sheet.locator(".pulls a").evaluate_all("all => all.map(one => one.href)")
    for row in listed.values():
        for change in row["changes"]:
            assert change["url"] in links
        for incident in row["incidents"]:
            assert incident["url"] in links
    shot(page, "deployments")
    sheet.get_by_role("button", name="Failed only").click()
    expect(sheet.locator(".pulls > li")).to_have_count(month["failed_deployments"])
    expect(sheet.locator(".chip.worse").first).to_contain_text("Failed: ")


def test_keyboard_opens_and_closes_the_deployments_of_a_bar(visit: Visit) -> None:
    page = visit(TEAM)
    bars = page.get_by_role("region", name="Weekly deployments", exact=True).locator("a.column")
    bars.last.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(bars.nth(24)).to_be_focused()


def test_merge_that_counts_as_deployment_is_marked_as_proxy(site: Site, visit: Visit) -> None:
    found = site.api("metrics/team/platform/deployments?limit=200")["data"]
    proxy = next(row for row in found if row["is_proxy"])
    week = proxy["deployed_at"][:10]
    page = visit(f"?team=platform&view=delivery&week={week}")
    expect(page.get_by_role("dialog").get_by_text("Proxy").first).to_be_visible()


def test_the_view_is_printed_without_its_controls(visit: Visit, shot: Shot) -> None:
    page = visit("?team=payments&view=delivery")
    expect(page.locator("a.column").first).to_be_visible()
    page.emulate_media(media="print")
    for name in ("Table", "CSV", "26 weeks"):
        expect(page.get_by_text(name, exact=True).first).to_be_hidden()
    expect(page.get_by_role("heading", name="Change lead time", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Weekly deployments")).to_be_visible()
    shot(page, "delivery-print")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Visit, shot: Shot, scheme: str) -> None:
    page = visit("?view=delivery", scheme=scheme)
    expect(page.locator("tr[data-team]").first).to_be_visible()
    assert violations(page) == []
    page.locator("tr[data-team=payments]").get_by_role("link").click()
    expect(page.locator("a.column").first).to_be_visible()
    shot(page, f"delivery-{scheme}")
    assert violations(page) == []
    page.locator("a.column").last.click()
    expect(page.locator(".pulls > li").first).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("path", ["?view=delivery", TEAM, f"{TEAM}&month=2026-05-01"])
def test_a_phone_never_scrolls_sideways(visit: Visit, shot: Shot, path: str) -> None:
    page = visit(path, width=375)
    expect(page.locator(".pulls > li, .tile, tr[data-team]").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    shot(page, "phone" + re.sub(r"\W+", "-", path))
