"""Doubts about a team configuration: unknown logins, far future dates, merges in no team."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dbt_support import ROOT, Warehouse, membership, pull_request, repository, review

from cli.team_report import report_built

AHEAD = (datetime.now(UTC) + timedelta(days=370)).strftime("%Y-%m-%d")


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    """`lena-satto` is a typo for `lena-sato`; Ada joins late, Bob far ahead, `eve` only reviews."""
    merged = [
        *[("lena-sato", day) for day in range(1, 13)],
        *[("ada", 5), ("ada", 9), ("bob", 5), ("carl", 6), ("dora-x", 6)],
        *[("emil", 6), ("fred", 6), ("ada_acme", 9)],
    ]
    warehouse.insert(
        repositories=[repository()],
        teams=[{"team_id": "core", "name": "Core"}],
        team_memberships=[
            membership("core", "Lena-Satto", "1.0", "2026-01-01T00:00Z"),
            membership("core", "ada", "1.0", "2026-01-07T00:00Z") | {"also": "ada_acme,ada-old"},
            membership("core", "bob", "1.0", f"{AHEAD}T00:00Z"),
            membership("core", "eve", "1.0", "2026-01-01T00:00Z"),
            membership("core", "xyz", "1.0", "2026-01-01T00:00Z"),
        ],
        pull_requests=[
            *[
                pull_request(number, author, f"2026-01-{day:02}T00:00Z", f"2026-01-{day:02}T01:00Z")
                for number, (author, day) in enumerate(merged, start=1)
            ],
            pull_request(90, "robot", "2026-01-05T00:00Z", "2026-01-06T00:00Z", author_type="Bot"),
            pull_request(91, None, "2026-01-05T00:00Z", "2026-01-06T00:00Z"),
            pull_request(92, "gina", "2026-01-05T00:00Z"),
        ],
        pull_request_reviews=[review(1, "EVE", "2026-01-01T00:30Z", author_id=None)],
    )
    warehouse.build()
    return warehouse


def test_members_never_seen_dates_far_ahead_and_merges_in_no_team_are_reported(
    built: Warehouse,
) -> None:
    assert report_built(built.database) == [
        "Lena-Satto was never seen on GitHub; did you mean lena-sato? (12 merges in no team)",
        "xyz was never seen on GitHub",
        "ada-old was never seen on GitHub",
        f"bob joins core on {AHEAD}, which is more than a year ahead",
        "18 merges belong to no team: lena-sato 12, ada 1, bob 1, carl 1, dora-x 1, 2 more",
    ]


def test_report_before_the_first_build_is_empty(own_warehouse: Warehouse) -> None:
    assert report_built(own_warehouse.database) == []


def check(warehouse: Warehouse, folder: Path, *members: Any) -> "subprocess.CompletedProcess[str]":
    file = folder / "teams.json"
    file.write_text(json.dumps([{"id": "core", "name": "Core", "members": members}]))
    return subprocess.run(
        [sys.executable, "-m", "cli", "teams", "check", str(file), "--against-data"],
        env=os.environ
        | {"DB_URL": warehouse.database.url, "DORA_HOME": str(folder), "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_can_be_checked_against_the_data(built: Warehouse, tmp_path: Path) -> None:
    logins = ("lena-sato", "ada", "bob", "carl", "dora-x", "emil", "Fredd")
    members = [{"github_username": login, "joined_at": "2026-01-01"} for login in logins]
    members[1]["also"] = ["ada_acme"]  # type: ignore[assignment]
    done = check(built, tmp_path, *members)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "warning: Fredd was never seen on GitHub; did you mean fred? (1 merge in no team)",
        "warning: 1 merge belongs to no team: fred 1",
        f"{tmp_path}/teams.json is valid: 1 team, 7 people, 7 windows",
    ]


def test_member_misspelt_in_one_of_two_teams_is_reported_with_the_right_login(
    built: Warehouse, tmp_path: Path
) -> None:
    logins = ("lena-sato", "lena-satto")
    members = [{"github_username": login, "joined_at": "2026-01-01"} for login in logins]
    done = check(built, tmp_path, *members)
    hint = "lena-satto was never seen on GitHub; did you mean lena-sato?"
    assert f"warning: {hint}" in done.stdout.splitlines(), done.stderr


def test_a_check_without_data_says_what_to_do(own_warehouse: Warehouse, tmp_path: Path) -> None:
    done = check(own_warehouse, tmp_path, {"github_username": "ada", "joined_at": "2026-01-01"})
    assert done.returncode == 2
    assert "has no data to check against yet: run `dora run` first" in done.stderr
