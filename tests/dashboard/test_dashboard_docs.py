"""The API page, which shows openapi.json to people."""

import json
from collections.abc import Callable

import httpx
import pytest
from dashboard_support import Site, Visit, violations
from playwright.sync_api import Page, expect

VELOCITY = "/metrics/team/{team_id}/velocity"
Shot = Callable[[Page, str], None]


def test_every_path_is_shown_with_its_example(site: Site, visit: Visit) -> None:
    paths = httpx.get(f"{site.url}openapi.json").json()["paths"]
    page = visit("docs", key=None)
    expect(page.locator(".operation")).to_have_count(len(paths))
    for path, of in paths.items():
        section = page.get_by_role("region", name=path, exact=True)
        said = of["get"]["description"].splitlines()[0]
        expect(section).to_contain_text(said.replace("`", ""))
        section.get_by_text("Example, application/json").click()
        shown = section.locator(".example pre").first.text_content()
        example = of["get"]["responses"]["200"]["content"]["application/json"]["example"]
        assert json.loads(shown or "") == example
    section = page.get_by_role("region", name=VELOCITY, exact=True)
    section.get_by_text("Fields", exact=True).click()
    expect(section.get_by_text("data[].weighted_prs_merged", exact=True)).to_be_visible()
    section.get_by_text("Headers", exact=True).click()
    expect(section.locator("dt", has_text="ETag")).to_be_visible()


def test_url_with_anchor_scrolls_to_the_operation(visit: Visit) -> None:
    page = visit("docs#pull_requests")
    expect(page.locator("#pull_requests")).to_be_in_viewport()
    assert page.evaluate("scrollY") > 500


def test_a_path_can_be_tried_with_the_key_of_the_tab(site: Site, visit: Visit) -> None:
    page = visit("docs", key=None, complaints=("401 (Unauthorized)", "422 (Unprocessable"))
    section = page.get_by_role("region", name=VELOCITY, exact=True)
    section.get_by_label("team_id", exact=True).fill("payments")
    section.get_by_role("button", name="Send").click()
    expect(section.get_by_role("status")).to_contain_text("401 Unauthorized")
    page.get_by_label("API key").fill(site.key)
    section.get_by_label("from", exact=True).fill("2026-05-01")
    section.get_by_role("button", name="Send").click()
    expect(section.get_by_role("status")).to_contain_text("200 OK")
    expect(section.get_by_role("status")).to_contain_text('etag: W/"')
    shown = section.locator("pre.body").text_content()
    asked = "metrics/team/payments/velocity?from=2026-05-01"
    assert json.loads(shown or "") == site.api(asked)
    expect(section.locator(".asked")).to_have_text(f"GET {asked}")
    section.get_by_label("format").select_option("text/csv")
    section.get_by_role("button", name="Send").click()
    expect(section.locator("pre.body")).to_contain_text("week,prs_merged,")
    section.get_by_label("from", exact=True).fill("soon")
    section.get_by_role("button", name="Send").click()
    expect(section.get_by_role("status")).to_contain_text("should be a date like 2026-01-31")
    # The dashboard in the same tab uses the key.
    page.goto(site.url)
    expect(page.get_by_role("heading", name="Teams at a glance")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_the_page_of_the_api(
    visit: Visit, shot: Shot, scheme: str
) -> None:
    page = visit("docs", scheme=scheme)
    expect(page.locator(".operation").first).to_be_visible()
    for summary in page.locator(".operation summary").all()[:8]:
        summary.click()
    shot(page, f"docs-{scheme}")
    assert violations(page) == []
