"""A manager's Monday: what changed, why, and which pull requests wait."""

from collections.abc import Callable

from dashboard_support import Site, Visit
from playwright.sync_api import Page, expect

DELIVERY = {"deployments_per_week", "change_lead_time_hours", "change_fail_rate"}


def test_from_what_changed_to_its_pull_requests_and_those_that_are_stuck(
    site: Site, visit: Visit, shot: Callable[[Page, str], None]
) -> None:
    news = site.api("metrics/trends?verdict=worse&verdict=better")["data"]
    change = next(row for row in news if row["metric"] not in DELIVERY)
    team = change["team_id"]
    page = visit()
    page.get_by_role("link", name=change["sentence"]).first.click()
    expect(page).to_have_url(f"{site.url}?team={team}&from={change['earlier_first_week']}")
    said = page.locator(f"[data-trend={change['metric']}][data-with={change['compared_with']}]")
    expect(said).to_contain_text(change["sentence"])

    # Why: the pull requests behind the month that took longest.
    columns = page.get_by_role("region", name="Monthly lead time", exact=True).locator("a.column")
    expect(columns.first).to_be_visible()
    months = site.api(f"metrics/team/{team}/lead-time")["data"][-columns.count() :]
    slow = max(months, key=lambda row: row["median_lead_time_hours"] or 0)
    columns.nth(months.index(slow)).click()
    pulls = page.get_by_role("dialog").locator(".pulls li")
    expect(pulls).to_have_count(slow["prs_merged"])
    shot(page, "monday-why")
    page.keyboard.press("Escape")

    # Stuck: the oldest open pull request comes first.
    page.get_by_role("navigation", name="View").get_by_role("link", name="Open now").click()
    opened = site.api(f"metrics/team/{team}/pull-requests?state=open&limit=1000")["data"]
    assert opened
    assert opened[0]["age_hours"] == max(row["age_hours"] for row in opened)
    listed = page.locator(".pulls > li")
    expect(listed).to_have_count(len(opened))
    link = listed.first.get_by_role("link")
    expect(link).to_have_attribute("href", opened[0]["url"])
    shot(page, "monday-stuck")
