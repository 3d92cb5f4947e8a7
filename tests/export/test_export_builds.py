"""Exports one after the other: unchanged files stay, old ones go, a reader sees one build."""

import json
from pathlib import Path

import pytest
from export_support import (
    READERS,
    files_of,
    manifest_in,
    marts_of,
    postgres_rows,
    publish,
)

from dora.database import Database
from dora.errors import ConfigurationError
from export.destination import Destination, open_destination
from export.run import export_marts

RENAME_ONE = """
update marts.fct_pull_requests set title = 'another title'
where pull_request_id = (select min(pull_request_id) from marts.fct_pull_requests)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "to" / "marts"


@pytest.fixture
def destination(folder: Path) -> Destination:
    return open_destination(str(folder))


def data_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}


def test_second_export_of_a_build_writes_nothing(
    marts: Database, destination: Destination, folder: Path
) -> None:
    first = export_marts(marts, destination, keep=3)
    assert first.files == len(data_files(folder)) > 20
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert export_marts(marts, destination, keep=3).files == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("select", {"dim_build"}),
        (RENAME_ONE, {"dim_build", "fct_pull_requests"}),
        (
            "delete from marts.fct_team_pull_requests where ctid = '(0,1)'",
            {"dim_build", "fct_team_pull_requests"},
        ),
        # As many rows as before.
        (
            "update marts.dim_team_memberships set left_at = '2030-01-01' where ctid = '(0,1)'",
            {"dim_build", "dim_team_memberships"},
        ),
        # The same rows with another type.
        (
            "alter table marts.dim_teams alter column team_name drop not null",
            {"dim_build", "dim_teams"},
        ),
    ],
    ids=["nothing", "a title", "a deleted row", "a value", "a column"],
)
def test_next_build_writes_only_the_changed_partitions(
    marts: Database, destination: Destination, folder: Path, change: str, changed: set[str]
) -> None:
    export_marts(marts, destination, keep=3)
    before = data_files(folder)
    publish(marts, change)
    assert export_marts(marts, destination, keep=3).files == len(changed)
    assert {name.partition("/")[0] for name in data_files(folder) - before} == changed
    for mart in marts_of(marts):
        found = READERS["pyarrow"](files_of(folder, mart.name))[1]
        assert found == postgres_rows(marts, mart)


def test_only_the_last_builds_are_kept(
    marts: Database, destination: Destination, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "README.txt").write_text("of somebody else")
    (folder / "fct_pull_requests").mkdir()
    (folder / "fct_pull_requests" / "mine.parquet").write_bytes(b"of somebody else")
    builds = []
    for number in range(4):
        builds.append(publish(marts, RENAME_ONE.replace("another", f"title {number}")))
        export_marts(marts, destination, keep=2)
    names = [path.stem[16:] for path in sorted((folder / "manifests").iterdir())]
    assert names == builds[2:]
    named = set()
    for path in (folder / "manifests").iterdir():
        for mart in json.loads(path.read_text())["marts"].values():
            named |= {file["path"] for file in mart["files"]}
    assert data_files(folder) == named | {"fct_pull_requests/mine.parquet"}
    assert (folder / "README.txt").exists()
    assert manifest_in(folder)["build"]["build_id"] == builds[-1]
    export_marts(marts, destination, keep=1)
    assert [path.stem[16:] for path in (folder / "manifests").iterdir()] == builds[3:]


def test_build_that_is_published_during_an_export_waits_for_the_next(
    marts: Database, destination: Destination, folder: Path
) -> None:
    before = {mart.name: postgres_rows(marts, mart) for mart in marts_of(marts)}

    def change(name: str, _: int) -> None:
        if name == "fct_deployments":
            publish(marts, RENAME_ONE, "delete from marts.fct_team_pull_requests")

    export_marts(marts, destination, keep=3, on_mart=change)
    for name, rows in before.items():
        assert READERS["pyarrow"](files_of(folder, name))[1] == rows
    export_marts(marts, destination, keep=3)
    assert manifest_in(folder)["marts"]["fct_team_pull_requests"]["rows"] == 0


def test_deleted_file_is_written_again(
    marts: Database, destination: Destination, folder: Path
) -> None:
    export_marts(marts, destination, keep=3)
    (lost,) = files_of(folder, "dim_teams")
    lost.unlink()
    assert export_marts(marts, destination, keep=3).files == 1
    assert lost.exists()


def test_folder_with_a_manifest_of_something_else_is_refused(
    marts: Database, destination: Destination, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"name": "a web application"}')
    with pytest.raises(ConfigurationError, match=r"manifest\.json is not a manifest of an export"):
        export_marts(marts, destination, keep=3)
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]


def test_type_without_a_counterpart_is_named(
    marts: Database, destination: Destination, folder: Path
) -> None:
    publish(marts, "create table marts.fct_later (price numeric)")
    with pytest.raises(ConfigurationError, match=r"marts\.fct_later\.price has the type numeric,"):
        export_marts(marts, destination, keep=3)
    assert not (folder / "manifest.json").exists()
