"""The dashboard with errors, missing data and unusual input."""

import re
import time
from collections.abc import Callable
from datetime import date, timedelta

from dashboard_support import ALL_KEY, PAYMENTS_KEY, Site, Visit, violations
from playwright.sync_api import Page, expect

from api.database import RECONNECT_SECONDS

Shot = Callable[[Page, str], None]


def test_key_is_requested_once_and_kept_only_for_the_tab(visit: Visit, shot: Shot) -> None:
    page = visit("?team=payments", key=None, complaints=("401 (Unauthorized)",))
    expect(page.get_by_role("heading", name="Your API key")).to_be_visible()
    field = page.get_by_label("API key", exact=True)
    field.fill("not-the-key")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The API key is unknown.")
    shot(page, "wrong-key")
    field.fill(ALL_KEY)
    field.press("Enter")
    expect(page.get_by_role("heading", name="Payments", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Payments", exact=True)).to_be_visible()
    assert ALL_KEY not in page.url
    assert page.evaluate("JSON.stringify(localStorage) + document.cookie") == "{}"
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_label("API key", exact=True)).to_be_visible()


def test_key_of_one_team_shows_no_other_team(visit: Visit) -> None:
    page = visit(key=PAYMENTS_KEY)
    expect(page.locator("tr[data-team]")).to_have_count(1)
    page = visit("?team=mobile", key=PAYMENTS_KEY, complaints=("403 (Forbidden)",))
    expect(page.get_by_role("alert")).to_contain_text("You do not have access to this team")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    page = visit("?team=nobody", complaints=("404 (Not Found)",))
    expect(page.get_by_role("alert")).to_contain_text("There is no team 'nobody'")
    page.get_by_role("link", name="All teams").click()
    expect(page.get_by_role("heading", name="Teams at a glance")).to_be_visible()


def test_unknown_address_links_to_the_front_page(visit: Visit, shot: Shot) -> None:
    for scheme in ("light", "dark"):
        page = visit("no/where/at-all", scheme=scheme, complaints=("404 (Not Found)",))
        expect(page.get_by_role("heading", name="There is no page at this address")).to_be_visible()
        # The style sheet loads at any depth.
        assert (
            page.locator("h1").evaluate("e => getComputedStyle(e).fontFamily").startswith("Inter")
        )
        assert violations(page) == []
        shot(page, f"no-page-{scheme}")
    page.get_by_role("link", name="All teams").click()
    expect(page.get_by_role("heading", name="Teams at a glance")).to_be_visible()


def test_key_with_invalid_character_is_refused_with_a_hint(visit: Visit) -> None:
    page = visit(key=None, complaints=("401 (Unauthorized)",))
    field = page.get_by_label("API key", exact=True)
    field.fill("\u201cdora_key\u201d")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "The API key contains an invalid character. Copy it again."
    )


def test_response_of_a_proxy_is_not_taken_for_the_api(visit: Visit) -> None:
    """A proxy responds with status 200, then with 502; then the API responds."""
    page = visit("docs", complaints=("502 (Bad Gateway)",))
    answers = [{"status": 200, "body": "<html>"}, {"status": 502, "body": "<html>"}]
    page.route(
        "**/teams", lambda route: route.fulfill(**answers.pop(0)) if answers else route.continue_()
    )
    page.goto(page.url.removesuffix("docs"))
    expect(page.get_by_role("alert")).to_contain_text("The API is unavailable")
    page.clock.run_for(6_000)
    expect(page.get_by_role("alert")).to_contain_text("status 502")
    page.clock.run_for(6_000)
    expect(page.get_by_role("heading", name="Teams at a glance")).to_be_visible()
    assert answers == []


def test_list_shows_if_its_period_is_incomplete_or_missing(site: Site, visit: Visit) -> None:
    weeks = site.api("metrics/team/payments/velocity")["data"]
    assert not weeks[-1]["is_complete"]
    page = visit(f"?team=payments&week={weeks[-1]['week']}")
    expect(page.get_by_role("dialog")).to_contain_text("The week is not complete: loaded up to")
    page = visit(f"?team=payments&week={weeks[-2]['week']}")
    expect(page.locator(".pulls li").first).to_be_visible()
    expect(page.get_by_text("not complete: loaded up to")).to_have_count(0)
    # Any day of a week selects the week.
    day = date.fromisoformat(weeks[-2]["week"]) + timedelta(3)
    page = visit(f"?team=payments&week={day}")
    expect(page.locator(".pulls li")).to_have_count(weeks[-2]["prs_merged"])
    for empty in ("week=2030-01-07", "month=2001-01-01"):
        page = visit(f"?team=payments&{empty}")
        expect(page.get_by_role("dialog")).to_contain_text(
            f"No data for this {empty[:5].strip('=')}"
        )


def test_the_focus_stays_in_the_list_at_its_last_week(site: Site, visit: Visit) -> None:
    weeks = site.api("metrics/team/payments/velocity")["data"]
    page = visit(f"?team=payments&week={weeks[-2]['week']}")
    page.get_by_role("button", name="week after").press("Enter")
    expect(page.get_by_role("button", name="week after")).to_be_disabled()
    expect(page.get_by_role("button", name="week before")).to_be_focused()


def test_end_date_without_start_shows_the_weeks_before_it(visit: Visit) -> None:
    page = visit("?team=payments&to=2025-06-30")
    chart = page.get_by_role("region", name="Weekly throughput", exact=True)
    expect(chart.locator("a.column")).to_have_count(26)


def test_page_recovers_automatically_from_database_outage(
    site: Site, visit: Visit, shot: Shot
) -> None:
    site.gate.close()
    try:
        page = visit(complaints=("503 (Service Unavailable)",))
        expect(page.get_by_role("alert")).to_contain_text("The database is unavailable")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
        expect(page.get_by_text(re.compile(r"Trying again automatically in \d s"))).to_be_visible()
        shot(page, "database-away")
    finally:
        site.gate.open()
    # The test controls the clock of the page, but not the clock of the API.
    time.sleep(RECONNECT_SECONDS)
    page.clock.run_for(6_000)
    expect(page.get_by_role("heading", name="Teams at a glance")).to_be_visible()


def test_data_older_than_twelve_hours_is_marked_as_old(visit: Visit, site: Site) -> None:
    page = visit(hours_later=11.9)
    expect(page.get_by_role("heading", name="Teams at a glance")).to_be_visible()
    expect(page.get_by_text("Not up to date.")).to_have_count(0)
    page.clock.run_for(timedelta(minutes=10) / timedelta(milliseconds=1))
    expect(page.get_by_text("Not up to date.")).to_be_visible()
    page = visit(hours_later=72)
    expect(page.get_by_text("The newest data is 3 days old")).to_be_visible()


def test_demo_data_is_marked_as_fictional_and_not_as_old(visit: Visit, site: Site) -> None:
    # monkeypatch would remove the attribute afterwards, so that /health would return 500.
    site.app.state.is_demo = True
    try:
        page = visit(hours_later=72)
        expect(page.get_by_text("Demo data of a fictional organisation.")).to_be_visible()
        expect(page.get_by_role("heading", name="Teams at a glance")).to_be_visible()
        expect(page.get_by_text("Not up to date.")).to_have_count(0)
    finally:
        site.app.state.is_demo = False


def test_dissolved_team_is_listed_separately(site: Site, visit: Visit) -> None:
    page = visit()
    others = page.locator(".others")
    expect(others.get_by_role("link", name="Growth")).to_be_visible()
    expect(page.locator("tr[data-team=growth]")).to_have_count(0)


def test_weeks_without_data_or_with_few_merges_are_marked(site: Site, visit: Visit) -> None:
    weeks = site.api("metrics/team/payments/velocity")["data"]
    page = visit(f"?team=payments&from={weeks[0]['week']}")
    counts = page.get_by_role("region", name="Weekly throughput", exact=True)
    times = page.get_by_role("region", name="Weekly cycle time", exact=True)
    empty = [week for week in weeks if not week["prs_merged"]]
    few = [week for week in weeks if 0 < week["prs_merged"] < 5]
    assert empty
    assert few
    expect(counts.locator("a.column")).to_have_count(len(weeks))
    expect(counts.locator("a.column text", has_text="0")).to_have_count(len(empty))
    expect(times.locator("rect.nothing")).to_have_count(len(empty))
    expect(times.locator("circle.few")).to_have_count(len(few))
    said = times.locator("a.column").nth(weeks.index(empty[0])).get_attribute("aria-label")
    assert "Average: no data" in (said or "")
    expect(times.locator("rect.bar.partial")).to_have_count(
        sum(not week["is_complete"] and week["prs_merged"] > 0 for week in weeks)
    )


def test_phases_of_a_month_are_stacked(visit: Visit) -> None:
    page = visit("?team=payments")
    chart = page.get_by_role("region", name="Monthly phases", exact=True)
    expect(chart.locator("a.column").first).to_be_visible()
    for month in chart.locator("a.column").all():
        floor = None
        for bar in month.locator("rect.bar").all():
            top, height = (float(bar.get_attribute(name) or "") for name in ("y", "height"))
            assert floor is None or abs(top + height - floor) < 0.01
            floor = top


def test_time_without_a_review_is_not_shown_as_waiting(
    site: Site, visit: Visit, shot: Shot
) -> None:
    months = site.api("metrics/team/payments/lead-time")["data"]
    for month in reversed(months):
        first = date.fromisoformat(month["month"])
        last = (first + timedelta(31)).replace(day=1) - timedelta(1)
        path = f"metrics/team/payments/pull-requests?from={first}&to={last}&limit=1000"
        pulls = site.api(path)["data"]
        without = [pull for pull in pulls if pull["first_review_at"] is None]
        if len(without) > 1:
            break
    for scheme in ("light", "dark"):
        page = visit(f"?team=payments&month={first}", scheme=scheme)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(f". {len(without)} were merged without a review.")
        expect(dialog).to_contain_text(f"{last.day} {last:%B %Y} (UTC).")
        bars = page.locator(".phases")
        waited = [pull["pickup_hours"] > 0 for pull in without]
        expect(bars.locator(".unreviewed")).to_have_count(sum(waited))
        expect(bars.locator(".pickup")).to_have_count(
            sum(pull["pickup_hours"] > 0 for pull in pulls) - sum(waited)
        )
        shot(page, f"unreviewed-{scheme}")
    # The median covers pull requests with and without a review.
    page.get_by_role("button", name="Close").click()
    chart = page.get_by_role("region", name="Monthly phases", exact=True)
    expect(chart.locator(".legend")).to_contain_text("Until review or merge")
    expect(chart.locator(".legend")).not_to_contain_text("Waiting for review")


def test_footer_states_scope_and_time_zone(visit: Visit) -> None:
    page = visit()
    expect(page.locator(".foot")).to_have_text(
        "All figures are per team; lists of pull requests name the authors. "
        "Days, weeks and months are in UTC. API"
    )
