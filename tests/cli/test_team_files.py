"""`dora teams draft`, `import`, `export` and `sync`, on the demo's GitHub."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo.github import GitHub
from demo.organisation import Organisation, generate
from demo.server import Server, serve
from dora.database import Database
from ingest.teams import Team, parse_teams

TOKEN = "ghp_not_to_be_shown_anywhere"
FROM = ("--from", "github:harborlight")
Dora = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return generate(seed=5, pull_requests=200, repositories=2)


@pytest.fixture
def hub(organisation: Organisation) -> Iterator[Server]:
    clock = datetime.fromisoformat(organisation.end).astimezone(UTC).timestamp() + 3600
    with serve(GitHub.from_organisation(organisation), token=TOKEN, clock=lambda: clock) as hub:
        yield hub


@pytest.fixture
def dora(hub: Server, tmp_path: Path) -> Dora:
    """Run `dora` in an empty folder, without a database unless DB_URL is given."""
    good = {
        "GITHUB_PAT": TOKEN,
        "GITHUB_API_URL": hub.url,
        "REPOSITORIES": ",".join(found.name_with_owner for found in hub.github.repositories()),
        "DORA_HOME": str(tmp_path / "home"),
    }

    unset = {"DB_URL", "TEAM_CONFIG_JSON"}
    base = {name: value for name, value in os.environ.items() if name not in unset}

    def run(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=base | good | changes,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def read(path: Path) -> dict[str, Team]:
    return {team.id: team for team in parse_teams(path.read_text("utf-8"), path.name)}


def logins(team: Team) -> set[str]:
    return {one.github_username for one in team.members if one.left_at is None}


def test_draft_from_github_prints_yaml_that_can_be_used(dora: Dora, tmp_path: Path) -> None:
    done = dora("teams", "draft", *FROM)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Drafted from the teams of harborlight on GitHub")
    (tmp_path / "teams.yaml").write_text(done.stdout, "utf-8")
    teams = read(tmp_path / "teams.yaml")
    assert teams.keys() == {"payments", "storefront", "platform", "mobile", "data", "identity"}
    assert teams["payments"].description == "Charging, refunds and the ledger"
    assert teams["payments"].group == "engineering"
    checked = dora("teams", "check", "teams.yaml")
    assert "teams.yaml is valid: 6 teams" in checked.stdout
    assert "warning" not in checked.stdout


def test_existing_file_is_compared_and_replaced_only_if_asked(
    dora: Dora, hub: Server, tmp_path: Path
) -> None:
    path = tmp_path / "teams.json"
    assert dora("teams", "draft", *FROM, "--out", "teams.json").returncode == 0
    first = path.read_text("utf-8")
    again = dora("teams", "draft", *FROM, "--out", "teams.json")
    assert again.stdout.startswith("teams.json stays as it is: 6 teams")
    team = hub.github.team("harborlight", "payments")
    hub.github.join_team(team, hub.github.account("octocat"))
    shown = dora("teams", "draft", *FROM, "--out", "teams.json")
    assert "  + payments, octocat, 1.00, " in shown.stdout
    assert "nothing was written: --write changes teams.json" in shown.stdout
    assert path.read_text("utf-8") == first
    dora("teams", "draft", *FROM, "--out", "teams.json", "--write")
    assert "octocat" in logins(read(path)["payments"])


def test_import_and_export_are_a_round_trip(dora: Dora, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text(
        "team_id,team,description,login,also,weight,joined,left\n"
        "web,Web Shop,What shoppers see,ada,ada_acme,0.50,2026-01-01,\n"
        "web,Web Shop,What shoppers see,bob,,1.00,2025-03-01T08:30:00+00:00,2026-04-01\n",
        "utf-8",
    )
    assert dora("teams", "import", "people.csv", "--out", "teams.yaml").returncode == 0
    exported = dora("teams", "export", TEAM_CONFIG_JSON="teams.yaml")
    assert exported.stdout == people.read_text("utf-8")
    assert dora("teams", "export", "teams.yaml", "--out", "again.csv").returncode == 0
    assert (tmp_path / "again.csv").read_text("utf-8") == people.read_text("utf-8")
    moved = people.read_text("utf-8").replace("2026-04-01", "2026-05-01")
    people.write_text(moved, "utf-8")
    shown = dora("teams", "import", "people.csv", "--out", "teams.yaml")
    assert shown.stdout.splitlines()[1:3] == [
        "  - web, bob, 1.00, 2025-03-01T08:30Z, 2026-04-01",
        "  + web, bob, 1.00, 2025-03-01T08:30Z, 2026-05-01",
    ]


def test_import_keeps_the_groups_of_the_file_that_it_replaces(dora: Dora, tmp_path: Path) -> None:
    (tmp_path / "teams.json").write_text('[{"name": "Web", "group": "eng/shop", "members": []}]')
    (tmp_path / "people.csv").write_text("login,team,joined\nada,Web,2026-01-01\n", "utf-8")
    done = dora("teams", "import", "people.csv", "--out", "teams.json", "--write")
    assert done.returncode == 0, done.stderr
    team = read(tmp_path / "teams.json")["web"]
    assert (team.group, logins(team)) == ("eng/shop", {"ada"})
    exported = dora("teams", "export", "teams.json")
    assert "groups, which CSV cannot hold, of the teams: web" in exported.stderr


def test_import_that_would_not_fit_the_groups_of_the_file_writes_nothing(
    dora: Dora, tmp_path: Path
) -> None:
    before = '[{"name": "Web", "group": "platform", "members": []}]'
    (tmp_path / "teams.json").write_text(before)
    (tmp_path / "people.csv").write_text(
        "login,team,joined\nada,Web,2026-01-01\nbob,Platform,2026-01-01\n", "utf-8"
    )
    done = dora("teams", "import", "people.csv", "--out", "teams.json", "--write")
    assert done.returncode == 2
    assert "'platform' is the id of a team and of a group" in done.stderr
    assert (tmp_path / "teams.json").read_text() == before


def test_changed_groups_are_shown_and_written(dora: Dora, tmp_path: Path) -> None:
    assert dora("teams", "draft", *FROM, "--out", "teams.json").returncode == 0
    path = tmp_path / "teams.json"
    path.write_text(path.read_text().replace('"group": "engineering"', '"group": "product"'))
    done = dora("teams", "draft", *FROM, "--out", "teams.json", "--write")
    assert "  - payments, product\n" in done.stdout
    assert "  + payments, engineering\n" in done.stdout
    assert read(path)["payments"].group == "engineering"


def test_every_fault_of_a_csv_exits_with_2_and_writes_nothing(dora: Dora, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(
        "Mail,Team,Start\nada,Web,03/04/2026\n@bob,Web,05/06/2026\n", "utf-8"
    )
    done = dora("teams", "import", "people.csv", "--column", "login=Mail", "--out", "teams.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("dora: people.csv: line 2: joined: '03/04/2026' is 2026-04-03 as")
    assert second.startswith("dora: people.csv: line 3: login: is not a GitHub login")
    assert not (tmp_path / "teams.yaml").exists()
    assert dora("teams", "import", "people.csv", "--column", "login").returncode == 2


def test_sync_shows_who_left_and_joined_and_writes_only_if_asked(
    dora: Dora, hub: Server, tmp_path: Path
) -> None:
    path = tmp_path / "teams.yaml"
    dora("teams", "draft", *FROM, "--out", "teams.yaml")
    before = path.read_text("utf-8")
    assert "stays as it is" in dora("teams", "sync", "teams.yaml", *FROM).stdout
    team = hub.github.team("harborlight", "payments")
    gone = next(iter(team.roles))
    hub.github.leave_team(team, gone)
    hub.github.join_team(team, hub.github.account("octocat"))
    days = {datetime.now(UTC).date()}
    shown = dora("teams", "sync", "teams.yaml", *FROM)
    assert "renamed people cannot be recognised: there is no database yet" in shown.stderr
    assert f"  - payments, {gone.login}, " in shown.stdout
    assert "  + payments, octocat, 1.00, " in shown.stdout
    assert path.read_text("utf-8") == before
    written = dora("teams", "sync", "teams.yaml", *FROM, "--write")
    assert written.returncode == 0, written.stderr
    assert "comments in teams.yaml are not kept" in written.stderr
    days.add(datetime.now(UTC).date())
    members = {one.github_username: one for one in read(path)["payments"].members}
    left_at = members[gone.login].left_at
    assert left_at is not None
    assert {left_at.date(), members["octocat"].joined_at.date()} <= days
    assert "stays as it is" in dora("teams", "sync", "teams.yaml", *FROM).stdout


def test_sync_recognises_a_renamed_person_by_the_loaded_data(
    dora: Dora, hub: Server, database: Database, organisation: Organisation, tmp_path: Path
) -> None:
    dora("teams", "draft", *FROM, "--out", "teams.yaml")
    assert dora("ingest", DB_URL=database.url).returncode == 0
    [rename] = organisation.renames
    hub.github.rename_account(rename.old_login, rename.new_login)
    done = dora("teams", "sync", "teams.yaml", *FROM, DB_URL=database.url)
    assert "stays as it is" in done.stdout
    assert f"{rename.old_login} in platform is {rename.new_login} on GitHub" in done.stderr


def test_missing_permission_exits_with_2_and_one_line(dora: Dora, hub: Server) -> None:
    hub.github.hidden_fields = {"Organization.teams"}
    done = dora("teams", "draft", *FROM)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert "GitHub does not let the token read the teams of harborlight" in line
    assert "read:org" in line
    done = dora("teams", "draft", "--from", "gitlab:acme")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dora: --from 'gitlab:acme' is unknown; use github:ORG\n"


def test_draft_without_data_says_what_to_do(dora: Dora, database: Database) -> None:
    done = dora("teams", "draft", DB_URL=database.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no data: run `dora ingest`" in done.stderr
