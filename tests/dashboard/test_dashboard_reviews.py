"""The reviews of a team's pull requests, by month."""

from collections.abc import Callable

import pytest
from dashboard_support import Site, Visit, violations
from playwright.sync_api import Page, expect

REVIEWS = "metrics/team/platform/reviews"


def percent(value: float | None) -> str:
    return "no data" if value is None else f"{value:.0%}"


def test_months_of_reviews_are_those_of_the_api_newest_first(site: Site, visit: Visit) -> None:
    months = {row["month"]: row for row in site.api(REVIEWS)["data"]}
    page = visit("?team=platform&from=2026-01-01")
    shown = page.get_by_role("region", name="Reviews").locator("tbody tr")
    expect(shown.first).to_be_visible()
    names = [str(line.get_attribute("data-month")) for line in shown.all()]
    in_range = [name for name in months if name >= "2026-01-01"]
    assert names == sorted(in_range, reverse=True)[:6]
    for line, name in zip(shown.all(), names, strict=True):
        row = months[name]
        wait = row["median_hours_to_first_review"]
        assert line.locator("td").all_inner_texts() == [
            f"{row['prs_reviewed']} of {row['prs_merged']}",
            percent(row["unreviewed_share"]),
            str(row["reviewers"]),
            percent(row["busiest_share"]),
            "no data" if wait is None else f"{wait:,.1f}\xa0h",
        ]
    assert any(month["busiest_share"] for month in months.values())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_reviews_pass_axe_and_explain_their_columns(
    visit: Visit, shot: Callable[[Page, str], None], scheme: str, width: int
) -> None:
    page = visit("?team=platform", scheme=scheme, width=width)
    region = page.get_by_role("region", name="Reviews")
    expect(region.locator("tbody tr").first).to_be_visible()
    region.scroll_into_view_if_needed()
    shot(page, f"reviews-{scheme}-{width}")
    assert violations(page) == []
    if width > 700:
        region.get_by_role("button", name="What is First reviews by one person?").click()
        note = page.get_by_role("note").filter(visible=True)
        expect(note).to_contain_text("of the first reviews, the largest share by one person")
