"""What the API answers while a build is under way."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from api_support import Client

from api.kept import Kept
from dora.database import Database
from dora.standing import standing

VELOCITY = "/metrics/team/web/velocity"
PATHS = ["/health", "/teams", VELOCITY, "/metrics/team/web/lead-time"]
PATHS += ["/metrics/team/web/pull-requests"]
NOTE = "select obj_description('marts'::regnamespace, 'pg_namespace')"
# Table after table, as a build does.
CHANGES = [
    "update marts.dim_build set build_id = 'b2', as_of = '2026-01-21T00:00Z'",
    "update marts.dim_teams set team_name = 'New ' || team_name",
    "update marts.fct_team_velocity_weekly set prs_merged = prs_merged + 100",
    "update marts.fct_team_lead_time_monthly set prs_merged = prs_merged + 100",
    "update marts.fct_pull_requests set title = 'New ' || title",
    "update marts.fct_team_pull_requests set weight = 0.25",
]


@pytest.fixture(autouse=True)
def _keep_nothing(app):
    """Each answer is looked up, be it in the snapshot from before a build."""
    app.state.kept = Kept(most_bytes=0)


def answers(client: Client) -> list[tuple[str, object]]:
    found = [client.get(path) for path in PATHS]
    assert {answer.status_code for answer in found} == {200}
    return [(answer.headers.get("etag", ""), answer.json()) for answer in found]


def test_while_a_build_is_under_way_everything_is_as_before_it(client, marts, database):
    before = answers(client)
    with standing(database):
        for change in CHANGES:
            marts.run(change)
            assert answers(client) == before
        for path, (tag, _) in list(zip(PATHS, before, strict=True))[1:]:
            assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    after = answers(client)
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert marts.owner.execute(NOTE).fetchone() == (None,)


def test_a_comment_that_somebody_made_stays(marts, database):
    marts.run("comment on schema marts is 'Ours'")
    with standing(database):
        (note,) = marts.owner.execute(NOTE).fetchone()
        assert note.startswith("Ours dora build under way: ")
    assert marts.owner.execute(NOTE).fetchone() == ("Ours",)


@pytest.mark.parametrize("snapshot", ["00000003-0000001B-1", "0", "F" * 60])
def test_a_build_that_was_killed_leaves_what_there_is(client, marts, database, caplog, snapshot):
    before = client.get(VELOCITY).headers["etag"]
    marts.run(f"comment on schema marts is 'dora build under way: {snapshot}'")
    for _ in range(2):
        answer = client.get(VELOCITY)
        assert answer.json()["data"][0]["prs_merged"] == 2
        # Some of it may be that build's own.
        assert answer.headers["etag"] != before
    assert caplog.text.count("cut off") == 1
    with standing(database):
        marts.run(CHANGES[2])
        assert client.get(VELOCITY).json()["data"][0]["prs_merged"] == 2
    assert marts.owner.execute(NOTE).fetchone() == (None,)


def test_a_table_that_is_replaced_is_never_shown_empty(client, marts, database):
    before = client.get(VELOCITY)
    with standing(database):
        marts.run(
            "create table marts.new as select * from marts.fct_team_velocity_weekly;"
            "drop table marts.fct_team_velocity_weekly;"
            "alter table marts.new rename to fct_team_velocity_weekly"
        )
        answer = client.get(VELOCITY)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "replacing" in answer.json()["detail"]
        # What does not read it, or was read before, is answered.
        assert client.get("/health").json()["as_of"] == "2026-01-20T00:00:00Z"
        assert client.get("/metrics/team/web/lead-time").status_code == 200
        known = {"If-None-Match": before.headers["etag"]}
        assert client.get(VELOCITY, headers=known).status_code == 304
    assert client.get(VELOCITY).json() == before.json()


def test_a_build_may_end_at_any_moment_of_a_request(client, marts, database):
    """Every answer is of before or after some build: one number on every row and in as_of."""
    done = threading.Event()

    def build() -> None:
        try:
            for turn in range(1, 60):
                with standing(database):
                    marts.run("update marts.dim_build set build_id = %s::text", turn)
                    marts.run("update marts.dim_teams set team_name = %s::text", turn)
                    marts.run("update marts.fct_team_velocity_weekly set prs_merged = %s", turn)
        finally:
            done.set()

    marts.run("update marts.dim_teams set team_name = '0'")
    marts.run("update marts.fct_team_velocity_weekly set prs_merged = 0")
    builder = threading.Thread(target=build)
    builder.start()
    seen = set()

    def read() -> None:
        while not done.is_set():
            answer = client.get("/metrics/team/core/velocity").json()
            counts = {row["prs_merged"] for row in answer["data"]}
            seen.add(json.dumps([int(answer["team"]["name"]), *sorted(counts)]))

    with ThreadPoolExecutor(3) as readers:
        list(readers.map(lambda _: read(), range(3)))
    builder.join()
    assert len(seen) > 1
    for text in seen:
        number, *counts = json.loads(text)
        assert counts == [number]


def test_nothing_is_kept_of_a_database_without_marts(database):
    with standing(Database(database.url)):
        pass
