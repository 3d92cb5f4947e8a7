"""The front page and the team pages show the API's trends, worst first."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from dashboard_support import PAYMENTS_KEY, Site, Visit, violations
from playwright.sync_api import Page, expect

Shot = Callable[[Page, str], None]
TEAMS = ["data", "identity", "mobile", "payments", "platform", "storefront"]
DELIVERY = {"deployments_per_week", "change_lead_time_hours", "change_fail_rate"}
WORDS = {"worse": "Worse", "better": "Better", "as_usual": "As usual"}


def trends(site: Site, query: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = site.api(f"metrics/trends?{query}")["data"]
    return rows


def news(site: Site) -> dict[str, list[dict[str, Any]]]:
    """Each team's changes, worst first; of two in one direction only the larger."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in trends(site, "verdict=worse&verdict=better"):
        of_team = found.setdefault(row["team_id"], [])
        known = {(one["metric"], one["verdict"]) for one in of_team}
        if (row["metric"], row["verdict"]) not in known:
            of_team.append(row)
    return found


def test_front_page_begins_with_the_changes_worst_first(
    site: Site, visit: Visit, shot: Shot
) -> None:
    expected = news(site)
    assert expected
    page = visit()
    items = page.locator("[data-news]")
    expect(items).to_have_count(len(expected))
    for item, (team, rows) in zip(items.all(), expected.items(), strict=True):
        expect(item).to_have_attribute("data-news", team)
        lines = item.locator(".trend")
        expect(lines).to_have_count(len(rows))
        for line, row in zip(lines.all(), rows, strict=True):
            expect(line.get_by_role("link")).to_have_text(row["sentence"])
            sign = "▲" if row["current_value"] > row["earlier_value"] else "▼"
            expect(line.locator(".chip")).to_have_text(sign + WORDS[row["verdict"]])
            expect(line.locator(".chip")).to_have_class(re.compile(rf"\b{row['verdict']}\b"))
    first = items.first.bounding_box()
    table = page.locator("table.teams").bounding_box()
    assert first
    assert table
    assert first["y"] < table["y"]
    shot(page, "news")


def test_teams_without_a_change_are_listed_in_one_collapsed_line(site: Site, visit: Visit) -> None:
    quiet = [team["name"] for team in site.api("teams")["data"] if team["id"] not in news(site)]
    assert quiet
    page = visit()
    line = page.locator(".quiet-teams")
    expect(line.get_by_role("link").first).to_be_hidden()
    line.locator("summary").click()
    expect(line.get_by_role("link")).to_have_text(quiet)


def test_a_sentence_leads_to_the_charts_of_both_spans(site: Site, visit: Visit) -> None:
    team, (row, *_) = next(iter(news(site).items()))
    page = visit()
    page.locator(f"[data-news={team}] .trend a").first.click()
    view = "&view=delivery" if row["metric"] in DELIVERY else ""
    expect(page).to_have_url(f"{site.url}?team={team}{view}&from={row['earlier_first_week']}")
    expect(page.locator("a.column").first).to_be_visible()


@pytest.mark.parametrize("view", ["", "&view=delivery"])
@pytest.mark.parametrize("team", TEAMS)
def test_team_page_shows_the_trends_of_its_view(
    site: Site, visit: Visit, team: str, view: str
) -> None:
    expected = [
        row
        for row in trends(site, f"team={team}")
        if row["verdict"] != "too_little_data" and (row["metric"] in DELIVERY) == bool(view)
    ]
    page = visit(f"?team={team}{view}")
    lines = page.locator("[data-trend]")
    expect(page.locator(".tile").first).to_be_visible()
    expect(lines).to_have_count(len(expected))
    for line, row in zip(lines.all(), expected, strict=True):
        expect(line).to_contain_text(row["sentence"])
        expect(line.locator(".chip")).to_contain_text(WORDS[row["verdict"]])


def test_key_of_one_team_sees_only_the_changes_of_this_team(site: Site, visit: Visit) -> None:
    page = visit(key=PAYMENTS_KEY)
    expect(page.locator("tr[data-team]")).to_have_count(1)
    expect(page.locator("[data-news]")).to_have_count(int("payments" in news(site)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_changes(visit: Visit, scheme: str, shot: Shot) -> None:
    page = visit(scheme=scheme, width=375)
    expect(page.locator("[data-news]").first).to_be_visible()
    page.locator(".quiet-teams summary").click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    shot(page, f"news-phone-{scheme}")
