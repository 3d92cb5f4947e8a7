from pathlib import Path

import httpx
import pytest
from asking import data

from demo import records
from demo.github import GitHub
from demo.organisation import Organisation
from demo.server import serve

REAL = Path(__file__).parents[1] / "reference" / "data" / "ietf_pull_requests.jsonl.gz"


def test_the_real_pull_requests_are_unchanged_after_a_round_trip(tmp_path: Path) -> None:
    rows = list(records.read_jsonl(REAL))
    kept = tmp_path / "again.jsonl.gz"
    records.write_jsonl(GitHub.from_jsonl(REAL).records(), kept)
    again = {(row["repository"], row["number"]): row for row in records.read_jsonl(kept)}
    assert len(again) == len(rows) == 2976
    for row in rows:
        found = again[row["repository"], row["number"]]
        for key in row.keys() - {"commits", "reviews"}:
            assert found[key] == row[key]  # type: ignore[literal-required]
        assert found["commits"] == (row["commits"] or 0)
        keys = ("id", "author", "state", "submitted_at")
        for shown, review in zip(found["reviews"], row["reviews"], strict=True):
            assert {key: shown[key] for key in keys} == review  # type: ignore[literal-required]


def test_the_real_pull_requests_are_served() -> None:
    text = """query($id: ID!) { node(id: $id) { ... on PullRequest { title mergedAt isDraft
      additions author { login __typename } reviews(first: 100) { totalCount nodes { id } }
      timelineItems(first: 1) { nodes { __typename } } mergeCommit { oid } } } }"""
    rows = [row for row in records.read_jsonl(REAL) if len(row["reviews"]) > 3][:40]
    github = GitHub.from_jsonl(REAL)
    with serve(github, token="t") as server:
        client = httpx.Client(base_url=server.url, headers={"authorization": "bearer t"})
        with client:
            for row in rows:
                id = github.pull_request(row["repository"], row["number"]).id
                shown = data(client, text, id=id)["node"]
                assert (shown["title"], shown["mergedAt"]) == (row["title"], row["merged_at"])
                assert shown["author"] == {"login": row["author"], "__typename": "User"}
                assert (shown["isDraft"], shown["additions"]) == (False, 0)
                assert shown["timelineItems"]["nodes"] == []
                ids = [review["id"] for review in row["reviews"]]
                assert [node["id"] for node in shown["reviews"]["nodes"]] == ids[:100]
                assert (shown["mergeCommit"] or {}).get("oid") == row["merge_commit_sha"]


@pytest.mark.parametrize("name", ["demo.jsonl", "demo.jsonl.gz"])
def test_the_organisation_is_unchanged_after_a_round_trip(
    name: str, organisation: Organisation, tmp_path: Path
) -> None:
    github = GitHub.from_organisation(organisation)
    truth = list(github.records())
    assert sorted(truth, key=lambda row: row["id"]) == sorted(
        organisation.records, key=lambda row: row["id"]
    )
    records.write_jsonl(truth, tmp_path / name)
    again = GitHub.from_jsonl(tmp_path / name)
    assert sorted(again.records(), key=lambda row: row["id"]) == sorted(
        truth, key=lambda row: row["id"]
    )


def test_the_records_show_later_renames(organisation: Organisation, tmp_path: Path) -> None:
    github = GitHub.from_organisation(organisation)
    rename = organisation.renames[0]
    github.rename_repository(github.repository("harborlight/ledger"), "harborlight/books")
    github.rename_account(rename.old_login, rename.new_login)
    records.write_jsonl(github.records(), tmp_path / "later.jsonl")
    rows = list(GitHub.from_jsonl(tmp_path / "later.jsonl").records())
    before = {row["id"]: row for row in organisation.records}
    moved = [row for row in rows if row["repository"] == "harborlight/books"]
    assert moved
    assert all(row["repository_id"] == before[row["id"]]["repository_id"] for row in moved)
    logins = {row["author"] for row in rows if row["author_id"] == rename.user_id}
    assert logins == {rename.new_login}
