"""Compare a team configuration with the accounts and merges that the ingest has seen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, LiteralString

from psycopg import Connection, sql
from psycopg.rows import dict_row

from dora.database import Database
from dora.errors import ConfigurationError
from dora.plurals import counted
from dora.roles import TRANSFORM

# A date more than a year ahead is probably a typing error.
FAR_AHEAD = timedelta(days=365)
NEAR = 0.75
# At most this many people are named in one line, and this many members who were never seen.
SHOWN, LISTED = 5, 10
_IS_THERE: LiteralString = "select to_regclass(%s) is not null"
_WINDOWS: LiteralString = """
    select team_id, github_username, also, joined_at, left_at
    from {raw}.team_memberships
    order by team_id, joined_at, github_username
"""
_SEEN: LiteralString = """
    select login_key, login from {staging}.stg_github__user_logins
    union
    select author_login_key, author_login
    from {staging}.stg_github__pull_requests
    where author_id is null and author_login is not null
    union
    select reviewer_login_key, reviewer_login
    from {staging}.stg_github__reviews
    where reviewer_id is null and reviewer_login is not null
"""
_MERGES: LiteralString = """
    with

    windows as (
        select *
        from unnest(%(logins)s::text[], %(joined)s::timestamptz[], %(left)s::timestamptz[])
            as listed (login_key, joined_at, left_at)
    ),

    accounts as (
        select
            logins.account_id,
            windows.joined_at,
            windows.left_at
        from windows
        inner join {intermediate}.int_logins_identified as logins
            on windows.login_key = logins.login_key
        union all
        select
            'login ' || login_key,
            joined_at,
            left_at
        from windows
    )

    select
        max(pull_requests.author_login) as author,
        count(*) as merges
    from {staging}.stg_github__pull_requests as pull_requests
    where
        pull_requests.merged_at is not null
        and pull_requests.vanished_at is null
        and pull_requests.author_account_id is not null
        and not pull_requests.is_by_bot
        and not exists (
            select 1
            from accounts
            where
                pull_requests.author_account_id = accounts.account_id
                and pull_requests.merged_at >= accounts.joined_at
                and pull_requests.merged_at < coalesce(accounts.left_at, 'infinity')
        )
    group by pull_requests.author_account_id
    order by merges desc, max(pull_requests.author_login) collate "C"
"""


@dataclass(frozen=True)
class Window:
    """One window of a member; `logins` are those of all the person's accounts."""

    team_id: str
    logins: tuple[str, ...]
    joined_at: datetime
    left_at: datetime | None


def report_built(database: Database) -> list[str]:
    """Report on the configuration that the last ingest landed; empty before the first build."""
    with database.connect(TRANSFORM) as connection:
        if not _is_built(connection, database):
            return []
        rows = _rows(connection, database, _WINDOWS)
        windows = [
            Window(
                row["team_id"],
                (row["github_username"], *filter(None, (row["also"] or "").split(","))),
                row["joined_at"],
                row["left_at"],
            )
            for row in rows
        ]
        return _report(connection, database, windows)


def report(database: Database, windows: Sequence[Window]) -> list[str]:
    """Report members never seen, members who join far ahead and merges that belong to no team.

    Raise `ConfigurationError` if there is no data yet.
    """
    with database.connect(TRANSFORM) as connection:
        if not _is_built(connection, database):
            raise ConfigurationError(
                f"the database {database} has no data to check against yet: run `dora run` first"
            )
        return _report(connection, database, windows)


def _is_built(connection: Connection[Any], database: Database) -> bool:
    marts = database.schemas.marts
    if connection.execute(_IS_THERE, [f"{marts}.dim_build"]).fetchone() != (True,):
        return False
    query = sql.SQL("select exists (select from {})").format(sql.Identifier(marts, "dim_build"))
    return connection.execute(query).fetchone() == (True,)


def _report(
    connection: Connection[Any], database: Database, windows: Sequence[Window]
) -> list[str]:
    from ingest.teams import person

    listed = _with_every_login(windows)
    seen = {row["login_key"]: row["login"] for row in _rows(connection, database, _SEEN)}
    merges = _rows(
        connection,
        database,
        _MERGES,
        logins=[login for login, _ in listed],
        joined=[window.joined_at for _, window in listed],
        left=[window.left_at for _, window in listed],
    )
    merged = {person(row["author"]): row["merges"] for row in merges}
    unseen = []
    known = {login for login, _ in listed}
    unlisted = [login for login in seen if login not in known]
    for login in dict.fromkeys(login for window in windows for login in window.logins):
        if person(login) not in seen:
            # A member who is in two teams may be misspelt in one of them.
            near = _nearest(person(login), unlisted) or _nearest(person(login), seen)
            hint = f"; did you mean {seen[near[0]]}?" if near else ""
            if near and (count := merged.get(near[0])):
                hint += f" ({counted(count, 'merge')} in no team)"
            unseen.append(f"{login} was never seen on GitHub{hint}")
    if len(unseen) > LISTED:
        more = counted(len(unseen) - LISTED, "more member was", "more members were")
        unseen[LISTED:] = [f"{more} never seen on GitHub"]
    latest = datetime.now(UTC) + FAR_AHEAD
    ahead = [
        f"{window.logins[0]} joins {window.team_id} on {window.joined_at:%Y-%m-%d}, "
        "which is more than a year ahead"
        for window in windows
        if window.joined_at > latest
    ]
    return [*unseen, *ahead, *_without_team(merges)]


def _nearest(login: str, known: Iterable[str]) -> list[str]:
    return get_close_matches(login, list(known), n=1, cutoff=NEAR)


def _with_every_login(windows: Iterable[Window]) -> list[tuple[str, Window]]:
    """Return each window with the key of each login of the person, from all of their entries."""
    from ingest.teams import person

    windows = list(windows)
    logins: dict[str, set[str]] = {}
    for window in windows:
        logins.setdefault(person(window.logins[0]), set()).update(map(person, window.logins))
    return [
        (login, window) for window in windows for login in sorted(logins[person(window.logins[0])])
    ]


def _without_team(merges: Sequence[dict[str, Any]]) -> list[str]:
    if not merges:
        return []
    names = [f"{row['author']} {row['merges']:,}" for row in merges[:SHOWN]]
    if more := len(merges[SHOWN:]):
        names.append(f"{more:,} more")
    count = sum(row["merges"] for row in merges)
    return [f"{counted(count, 'merge belongs', 'merges belong')} to no team: {', '.join(names)}"]


def _rows(
    connection: Connection[Any], database: Database, query: LiteralString, **parameters: Any
) -> list[dict[str, Any]]:
    schemas = database.schemas
    statement = sql.SQL(query).format(
        raw=sql.Identifier(schemas.raw),
        staging=sql.Identifier(schemas.staging),
        intermediate=sql.Identifier(schemas.intermediate),
    )
    return connection.cursor(row_factory=dict_row).execute(statement, parameters).fetchall()
