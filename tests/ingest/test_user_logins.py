"""`raw.user_logins` records when each account was last seen with each login."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from cli.db import prepare
from demo.github import GitHub
from demo.organisation import Organisation
from dora.database import Database
from dora.settings import Settings
from ingest.run_result import RunResult
from tests.ingest.test_pipeline import after
from tests.ingest.truth import prs, rows

Ingest = Callable[..., RunResult]


def test_the_login_seen_last_is_the_current_one(
    ingest: Ingest, database: Database, github: GitHub, organisation: Organisation
) -> None:
    ingest()
    changed = next(pr for pr in prs(github) if pr.author is not None)
    author = changed.author
    assert author is not None
    before = author.login
    github.rename_account(author, "somebody-else")
    github.edit(changed, after(organisation, 30), title="Changed")
    ingest()
    query = "select user_id, login, account_type, seen_at from raw.user_logins order by seen_at"
    found = [row for row in rows(database, query) if row["user_id"] == author.id]
    assert [row["login"] for row in found] == [before, "somebody-else"]
    assert found[0]["seen_at"] < found[1]["seen_at"]
    assert {row["account_type"] for row in found} == {author.type}


@pytest.mark.parametrize("command", ["ingest", "build"])
def test_a_database_of_an_older_release_gets_the_columns(
    ingest: Ingest, database: Database, settings: Settings, command: str
) -> None:
    ingest()
    with database.connect() as connection:
        connection.execute("alter table raw.user_logins drop column seen_at")
        connection.execute("alter table raw.team_memberships drop column also")
    if command == "ingest":
        ingest()
    else:
        prepare(settings.model_copy(update={"db_url": SecretStr(database.url)}))
    assert rows(database, "select 1 from raw.user_logins where seen_at is null") != []
    assert rows(database, "select also from raw.team_memberships") != []
