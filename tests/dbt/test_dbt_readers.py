"""What the API answers while real builds run, one that goes through and one that fails."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from dbt_support import EXAMPLE, Warehouse, membership, pull_request

from api.app import create_app
from api.kept import Kept
from dora.roles import INGEST
from dora.standing import standing
from tests.api.api_support import Client, settings_for

TEAM = "/metrics/team/web/"
PATHS = ["/health", "/teams", f"{TEAM}velocity", f"{TEAM}lead-time", f"{TEAM}pull-requests"]
PATHS += ["/metrics/compare?team=core&team=web"]
READERS = 3


class Seen(NamedTuple):
    """An answer, in what two of them may differ."""

    path: str
    status: int
    tag: str
    text: str


@pytest.fixture(scope="module")
def client(warehouse: Warehouse) -> Iterator[Client]:
    warehouse.insert(**EXAMPLE)
    warehouse.build()
    app = create_app(settings_for(warehouse.database.url))
    # Each answer is looked up, be it in the snapshot from before a build.
    app.state.kept = Kept(most_bytes=0)
    yield Client(app)
    app.state.marts.close()


def ask(client: Client, path: str) -> Seen:
    answer = client.get(path)
    return Seen(path, answer.status_code, answer.headers.get("etag", ""), answer.text)


def answers(client: Client) -> list[Seen]:
    return [ask(client, path) for path in PATHS]


def read_during(client: Client, work: Callable[[], Any]) -> set[Seen]:
    """Every answer that readers of all paths get while `work` runs."""
    done = threading.Event()
    seen: list[Seen] = []

    def read() -> None:
        while not done.is_set():
            seen.extend(answers(client))

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        work()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert len(seen) > 20 * len(PATHS)
    return set(seen)


def dora_build(warehouse: Warehouse) -> dict[str, str]:
    with standing(warehouse.database):
        return warehouse.dbt("build", "--exclude", "test_type:unit")


def load(warehouse: Warehouse, number: int, covered_to: str) -> None:
    """Another merge of Bob's in the week of 2026-01-12, more loaded, another member and name."""
    with warehouse.database.connect(INGEST) as raw:
        raw.execute("update raw.repositories set covered_to = %s", [covered_to])
        raw.execute("update raw.teams set name = name || '!'")
    warehouse.insert(
        pull_requests=[pull_request(number, "bob", "2026-01-12T00:00Z", "2026-01-13T00:00Z")],
        team_memberships=[membership("web", f"new-{number}", "1.0", "2026-01-02T00:00Z")],
    )


def test_each_answer_while_a_build_runs_is_from_before_it_or_after(
    warehouse: Warehouse, client: Client
) -> None:
    before = answers(client)
    load(warehouse, 10, "2026-01-27T00:00Z")
    seen = read_during(client, lambda: dora_build(warehouse))
    after = answers(client)
    assert {answer.status for answer in seen} == {200}
    assert seen <= {*before, *after}
    assert seen >= set(before)
    for old, new in zip(before, after, strict=True):
        assert old.text != new.text
        assert old.tag != new.tag or old.path == "/health"


def test_a_build_that_fails_half_way_promises_nothing_and_its_answers_are_new(
    warehouse: Warehouse, client: Client
) -> None:
    """The months cannot be written; the weeks are, and what was kept of them is outdated."""
    before = answers(client)
    warehouse.execute(
        """
        create function marts.refuse() returns trigger language plpgsql as
        $$ begin raise 'no months today'; end $$
        """,
        """
        create trigger refuse before insert or delete on marts.fct_team_lead_time_monthly
        for each statement execute function marts.refuse()
        """,
    )
    load(warehouse, 11, "2026-02-03T00:00Z")
    statuses: dict[str, str] = {}
    seen = read_during(client, lambda: statuses.update(dora_build(warehouse)))
    assert statuses["fct_team_lead_time_monthly"] == "error"
    assert statuses["fct_team_velocity_weekly"] == "success"
    assert statuses["dim_build"] == "skipped"

    failed = answers(client)
    assert {answer.status for answer in seen} == {200}
    assert seen <= {*before, *failed}
    old, new = (dict(zip(PATHS, some, strict=True)) for some in (before, failed))
    assert new["/health"].text == old["/health"].text
    assert new[f"{TEAM}velocity"].text != old[f"{TEAM}velocity"].text
    for path in PATHS[1:]:
        assert '"as_of":"2026-01-27T00:00:00Z"' in new[path].text
        assert new[path].tag != old[path].tag

    warehouse.execute("drop function marts.refuse() cascade")
    assert dora_build(warehouse)["dim_build"] == "success"
    for path, whole in zip(PATHS, answers(client), strict=True):
        assert '"as_of":"2026-02-03T00:00:00Z"' in whole.text
        assert path == "/health" or whole.tag != new[path].tag


def test_a_build_of_one_mart_alone_makes_new_tags(warehouse: Warehouse, client: Client) -> None:
    before = answers(client)
    assert warehouse.dbt("run", "--select", "dim_teams")["dim_teams"] == "success"
    now = answers(client)
    assert [answer.text for answer in now] == [answer.text for answer in before]
    assert all(old.tag != new.tag for old, new in list(zip(before, now, strict=True))[1:])
    assert "pass" in warehouse.dbt("test", "--select", "dim_build").values()
    assert answers(client) == now
