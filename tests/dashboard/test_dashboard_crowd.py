"""Many teams, many pull requests and long names, in hand-made marts."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dashboard_support import KEYS, Site, Visit, served
from playwright.sync_api import expect
from pydantic import SecretStr

from api.app import create_app
from dora.database import Database, initialise
from dora.embedded_postgres import Embedded
from dora.settings import Settings
from tests.api.api_support import ROWS, TABLES, Gate
from tests.conftest import make_once

TEAMS, MERGED = 25, 1_050
LONG = "The team that keeps everything else from falling apart again"
# In addition to the worked example: a week with many pull requests of web, and Z_1 of core, merged
# on a Monday in Berlin and on the Sunday before in UTC.
CROWD = f"""
update marts.dim_build set reporting_timezone = 'Europe/Berlin';
insert into marts.fct_pull_requests (
    pull_request_id, repository, number, title, url, author, state, created_at, merged_at,
    work_started_at, cycle_time_hours, coding_hours, draft_hours, pickup_hours, review_hours,
    total_hours, size
)
values (
    'Z_1', 'acme/app', 900, 'One line', 'https://github.com/acme/app/pull/900', 'ada', 'merged',
    '2026-01-11T22:30Z', '2026-01-11T23:30Z', '2026-01-11T22:30Z', 1, 0, 0, 1, 0, 1, 1
);
insert into marts.fct_team_pull_requests
values ('core', 'Z_1', 1, '2026-01-11T23:30Z', '2026-01-11T23:30Z');
insert into marts.dim_teams select 'team-' || n, '{LONG} ' || n, null
from generate_series(1, {TEAMS}) as n;
insert into marts.fct_team_velocity_weekly
select 'team-' || n, '2026-01-12', n, n, 1, 1, 1, true from generate_series(1, {TEAMS}) as n;
insert into marts.fct_team_velocity_weekly
values ('web', '2026-01-12', {MERGED}, {MERGED}, 1, 1, 1, true);
insert into marts.fct_pull_requests (
    pull_request_id, repository, number, title, url, author, state, created_at, merged_at,
    work_started_at, cycle_time_hours, coding_hours, draft_hours, pickup_hours, review_hours,
    total_hours
)
select
    'X_' || n, 'acme/app', 1000 + n, '=SUM(A1:A9) "' || n || '"',
    'https://github.com/acme/app/pull/' || n,
    'bob', 'merged', '2026-01-13', '2026-01-13T01:00Z', '2026-01-13', 1, 0, 0, 1, 0, 1
from generate_series(1, {MERGED}) as n;
insert into marts.fct_team_pull_requests
select 'web', pull_request_id, 1, merged_at, merged_at from marts.fct_pull_requests
where pull_request_id like 'X%';
"""


@pytest.fixture(scope="module")
def site(built: Path, chromium: str, server: Embedded) -> Iterator[Site]:
    def make(database: Database) -> None:
        initialise(database)
        with database.connect("dora_transform") as owner:
            for statement in (TABLES, ROWS, CROWD):
                owner.execute(statement.encode())

    make_once(server, "crowd_of_tests", make)
    gate = Gate(server.url("crowd_of_tests"))
    settings = Settings(_env_file=None, db_url=SecretStr(gate.url), api_keys=SecretStr(KEYS))
    app = create_app(settings)
    with served(app) as url:
        yield Site(url, gate, datetime(2026, 1, 20, tzinfo=UTC), app)
    gate.close()


def test_more_teams_than_one_comparison_allows_are_all_shown(visit: Visit) -> None:
    page = visit()
    expect(page.locator("tr[data-team]")).to_have_count(TEAMS + 3)
    row = page.locator(f"tr[data-team=team-{TEAMS}]")
    expect(row.locator(".figure").first).to_have_text(str(TEAMS))
    expect(row).to_contain_text(LONG)


def test_front_page_lists_what_got_worse_before_what_got_better(site: Site, visit: Visit) -> None:
    page = visit()
    items = page.locator("[data-news]")
    expect(items).to_have_count(2)
    expect(items.nth(0).locator(".chip.worse")).to_have_text("▲Worse")
    expect(items.nth(0)).to_contain_text(
        "Lead time 22.7 → 50.0 h in a year; waiting for review is 22 h of the 27."
    )
    expect(items.nth(1).locator(".chip.better")).to_have_text("▲Better")
    expect(page.locator(".quiet-teams summary")).to_have_text(f"No clear change: {TEAMS} teams")
    items.nth(0).locator(".trend a").click()
    expect(page).to_have_url(f"{site.url}?team=web&from=2024-10-21")
    expect(page.locator("[data-trend=lead_time_hours] .chip.worse")).to_be_visible()


def test_team_page_leaves_out_trends_with_too_little_data(visit: Visit) -> None:
    page = visit("?team=web")
    expect(page.locator("[data-trend]")).to_have_count(1)
    page = visit("?team=team-9")
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.locator("[data-trend]")).to_have_count(0)


@pytest.mark.parametrize("path", ["", "?team=team-9", "?team=web&week=2026-01-12"])
def test_long_names_fit_a_phone(visit: Visit, path: str) -> None:
    page = visit(path, width=375)
    expect(page.locator("tr[data-team], .tile, .pulls li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_list_and_csv_contain_more_rows_than_one_page(visit: Visit, tmp_path: Path) -> None:
    page = visit("?team=web&week=2026-01-12")
    expect(page.locator(".pulls li")).to_have_count(MERGED)
    with page.expect_download() as file:
        page.get_by_role("dialog").get_by_role("button", name="CSV").click()
    file.value.save_as(tmp_path / "pulls.csv")
    text = (tmp_path / "pulls.csv").read_text("utf-8-sig")
    titles = {row["title"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    # Anyone who opens a pull request chooses its title, which a spreadsheet might evaluate.
    assert titles == {f'\'=SUM(A1:A9) "{number}"' for number in range(1, MERGED + 1)}


def test_days_use_and_name_the_reporting_time_zone(visit: Visit) -> None:
    page = visit("?team=core&week=2026-01-12")
    line = page.locator(".pulls li", has_text="One line")
    expect(line).to_contain_text("merged 12 Jan")
    expect(line).to_contain_text("1 line")
    expect(line).not_to_contain_text("1 lines")
    expect(page.get_by_role("dialog")).to_contain_text(
        "Days covered: 12 \u2013 18 January 2026 (Europe/Berlin)."
    )
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".covered")).to_have_text(re.compile(r"Days are in Europe/Berlin\.\s*$"))
    expect(page.locator(".foot")).to_contain_text(
        "Days, weeks and months are in Europe/Berlin, times of day in UTC. API"
    )


def test_count_of_one_has_whole_number_axis_and_singular_nouns(visit: Visit) -> None:
    page = visit("?team=team-1")
    chart = page.get_by_role("region", name="Weekly throughput", exact=True)
    ticks = chart.locator(".scroll .axis[text-anchor=end]")
    expect(ticks).to_have_text(["0", "1"])
    page = visit()
    row = page.locator("tr[data-team=team-1]")
    expect(row.get_by_role("img")).to_have_accessible_name(
        "Merged in 1 complete week, oldest first: 1"
    )


def test_team_without_open_pull_requests_says_so(visit: Visit) -> None:
    page = visit("?team=core&view=open")
    expect(page.get_by_role("heading", name="Nothing is open")).to_be_visible()


def test_open_pull_request_without_a_title_or_known_wait_is_listed(
    visit: Visit, server: Embedded
) -> None:
    with Database(server.url("crowd_of_tests")).connect("dora_transform") as owner:
        owner.execute("update marts.fct_pull_requests set title = '' where number = 9")
        owner.execute(
            "update marts.fct_open_pull_requests set status_since = null, waiting_hours = null"
            " where pull_request_id = 'PR_9'"
        )
        owner.execute("update marts.dim_build set build_id = 'b2'")
    page = visit("?team=web&view=open")
    line = page.locator(".pulls > li").first
    expect(line.get_by_role("link", name="#9")).to_be_visible()
    expect(line).to_contain_text("since the dismissal of a review · 2 reviewers so far")
