from pathlib import Path

import pytest

from dora.errors import ConfigurationError
from ingest.repositories import parse_repositories


def test_names_owners_and_exceptions_are_told_apart() -> None:
    selection = parse_repositories("acme/web, acme/*\n!acme/Old , ACME/web")
    assert selection.names == ("acme/web",)
    assert selection.owners == ("acme",)
    assert not selection.has("Acme/old")
    assert selection.has("acme/new")


def test_a_left_out_name_is_left_out_of_the_names_too() -> None:
    assert parse_repositories("a/b,a/c,!A/B").names == ("a/c",)


def test_the_setting_may_name_a_file(tmp_path: Path) -> None:
    path = tmp_path / "repositories"
    path.write_text("a/b\na/c\n", "utf-8")
    assert parse_repositories(str(path)).names == ("a/b", "a/c")


def test_every_malformed_name_is_told() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_repositories("good/one,bad,-x/y,a/b/c,https://github.com/a/b,a/..")
    assert len(caught.value.faults) == 5


@pytest.mark.parametrize("configured", [None, "", " , "])
def test_nothing_configured_is_said(configured: str | None) -> None:
    with pytest.raises(ConfigurationError, match="REPOSITORIES is not set"):
        parse_repositories(configured)


def test_leaving_out_everything_is_said() -> None:
    with pytest.raises(ConfigurationError, match="leaves out every repository"):
        parse_repositories("a/b,!a/b")
