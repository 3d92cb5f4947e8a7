"""Groups of teams on the front page, and the page of a group."""

import re

from dashboard_support import Site, Visit
from playwright.sync_api import expect

GROUPS = ["all", "commerce", "infrastructure"]


def test_front_page_begins_with_all_teams_and_the_groups(site: Site, visit: Visit) -> None:
    page = visit()
    rows = page.locator("tr[data-team]")
    for at, group in enumerate(GROUPS):
        row = rows.nth(at)
        expect(row).to_have_attribute("data-team", group)
        weeks = site.api(f"metrics/team/{group}/velocity")["data"]
        last = [week for week in weeks if week["is_complete"]][-1]
        expect(row.locator(".figure").first).to_have_text(str(last["prs_merged"]))
    expect(rows.nth(0).get_by_role("rowheader")).to_have_text("All teams7 teams")
    expect(rows.nth(3)).to_have_attribute("data-team", "data")


def test_a_group_has_a_page_like_a_team(site: Site, visit: Visit) -> None:
    page = visit()
    page.locator("tr[data-team=commerce]").get_by_role("link").click()
    expect(page).to_have_url(f"{site.url}?team=commerce")
    expect(page.get_by_role("heading", name="Commerce", exact=True)).to_be_visible()
    expect(page.locator(".page-head .about")).to_have_text(re.compile(r"^3 teams ·\s+\d+ members$"))
    page.get_by_role("combobox", name="Team").select_option("All teams")
    week = site.api("metrics/team/all/velocity")["data"][-3]
    page.get_by_role("region", name="Weekly throughput").locator("a.column").nth(-3).click()
    expect(page).to_have_url(f"{site.url}?team=all&week={week['week']}")
    expect(page.get_by_role("dialog").locator(".pulls li")).to_have_count(week["prs_merged"])
