"""The dashboard compares each figure with earlier ones; recomputed here from the API's figures."""

import re
from datetime import date
from math import floor
from statistics import median
from typing import Any, NamedTuple

import pytest
from dashboard_support import Site, Visit
from playwright.sync_api import Locator, expect

FEW, ENOUGH = 5, 4
TEAMS = ["data", "identity", "mobile", "payments", "platform", "storefront"]
FIGURES = {
    "prs_merged": ("week", 12),
    "avg_cycle_time_hours": ("week", 12),
    "median_lead_time_hours": ("month", 6),
    "p95_lead_time_hours": ("month", 6),
}
SIGNS = {"above": "▲", "below": "▼"}
WORDS = {"above": ("Longer", "worse"), "below": ("Shorter", "better")}
MANY = {"above": "More", "below": "Fewer"}


class Told(NamedTuple):
    """The text and the tone of a badge, and the text about the earlier figures."""

    text: str
    tone: str
    before: str


def told(rows: list[dict[str, Any]], name: str) -> Told:
    """Return the expected badge: a figure stands out if it is above or below all earlier ones."""
    kind, most = FIGURES[name]
    is_time = name != "prs_merged"
    *earlier, last = [row for row in rows if row["is_complete"]][-most - 1 :]
    needs = FEW if is_time else 0
    others = [row[name] for row in earlier if row["prs_merged"] >= needs and row[name] is not None]
    before = spread(others, kind, is_time)
    if last[name] is not None and last["prs_merged"] < needs:
        return Told(f"Too few to tell (under {FEW})", "plain", before)
    if last[name] is None or len(others) < ENOUGH:
        return Told("Nothing to compare with", "plain", before)
    if min(others) <= last[name] <= max(others):
        return Told("As usual", "plain", before)
    verdict = "above" if last[name] > max(others) else "below"
    word, tone = WORDS[verdict] if is_time else (MANY[verdict], "noted")
    text = f"{word} than in any of the {len(others)} {kind}s before"
    return Told(SIGNS[verdict] + text, tone, before)


def year_before(months: list[dict[str, Any]], name: str) -> list[str]:
    """Return the tile's text about the same month a year earlier; empty if there is none."""
    whole = {row["month"]: row for row in months if row["is_complete"]}
    last = date.fromisoformat(max(whole))
    earlier = whole.get(last.replace(year=last.year - 1).isoformat())
    if FIGURES[name][0] == "week" or earlier is None:
        return []
    few = " (few)" if earlier["prs_merged"] < FEW else ""
    hours = f"{earlier[name]:,.1f} h" if earlier[name] is not None else "no data"
    return [f"A year before, {last:%B} {last.year - 1}: {hours}{few}"]


def spread(others: list[float], kind: str, is_time: bool) -> str:
    if not others:
        return ""
    low, middle, high = (
        f"{value:,.1f} h" if is_time else f"{floor(value + 0.5):,}"
        for value in (min(others), median(others), max(others))
    )
    if len(others) == 1:
        return f"One {kind} before: {middle}"
    return f"The {len(others)} {kind}s before: {low} to {high}, typically {middle}"


def expect_chip(place: Locator, expected: Told) -> None:
    expect(place).to_have_text(expected.text)
    expect(place).to_have_class(re.compile(rf"\b{expected.tone}\b"))


@pytest.mark.parametrize("team", TEAMS)
def test_team_page_compares_each_figure_with_earlier_ones(
    site: Site, visit: Visit, team: str
) -> None:
    weeks = site.api(f"metrics/team/{team}/velocity")["data"]
    months = site.api(f"metrics/team/{team}/lead-time")["data"]
    page = visit(f"?team={team}")
    for name, (kind, _) in FIGURES.items():
        tile = page.locator(".tile", has=page.locator(f"[data-figure={name}]"))
        expected = told(weeks if kind == "week" else months, name)
        expect_chip(tile.locator(".chip"), expected)
        hints = tile.locator("> .hint:not(.year)")
        expect(hints).to_have_text([expected.before] if expected.before else [])
        expect(tile.locator(".year")).to_have_text(year_before(months, name))


def test_front_page_compares_the_figures_of_every_team(site: Site, visit: Visit) -> None:
    page = visit()
    tones = set()
    for team in TEAMS:
        weeks = site.api(f"metrics/team/{team}/velocity")["data"]
        months = site.api(f"metrics/team/{team}/lead-time")["data"]
        chips = page.locator(f"tr[data-team={team}] .chip")
        for at, name in enumerate(list(FIGURES)[:3]):
            expected = told(weeks if FIGURES[name][0] == "week" else months, name)
            expect_chip(chips.nth(at), expected)
            tones.add(expected.tone)
    assert tones >= {"plain", "noted", "better"}
