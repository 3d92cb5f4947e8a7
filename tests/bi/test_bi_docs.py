"""The SQL in docs/bi.md, run on the demo's marts."""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from dora.database import Database

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bi.md").read_text("utf-8")
BLOCKS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
QUERIES = [block for block in BLOCKS if block.startswith("select")]
# Values of Metabase's variables.
VALUES = {"team": "'Payments'", "teams": "'payments', 'storefront'"}


def filled(sql: str) -> str:
    """The query with a value for each variable of Metabase."""
    sql = re.sub(r"\[\[|\]\]", "", sql)
    return re.sub(r"\{\{(\w+)\}\}", lambda found: VALUES[found[1]], sql)


def unfiltered(sql: str) -> str:
    """The query without the clauses whose variables have no value."""
    return re.sub(r"\[\[.*?\]\]", "", sql)


def rows_of(demo: Database, sql: str) -> list[dict[str, Any]]:
    with demo.connect("dora_reader", row_factory=dict_row) as connection:
        return connection.execute(sql.encode()).fetchall()


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_query_finds_rows(sql: str, demo: Database) -> None:
    everything, some = rows_of(demo, unfiltered(sql)), rows_of(demo, filled(sql))
    assert some
    assert (everything != some) == ("[[" in sql)


def test_there_is_a_query_for_each_tool_and_one_login() -> None:
    assert len(QUERIES) == 7
    assert len(BLOCKS) == len(QUERIES) + 1


def test_login_of_a_tool_reads_the_marts_in_utc(demo: Database) -> None:
    (login,) = (block for block in BLOCKS if block not in QUERIES)
    with demo.connect() as connection:
        connection.execute(login.encode())
        connection.execute("set local role metabase")
        assert connection.execute("select count(*) from marts.dim_build").fetchone() == (1,)
        settings = connection.execute(
            "select setconfig from pg_db_role_setting where setrole = 'metabase'::regrole"
        ).fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("select from raw.pull_requests")
        connection.rollback()
    assert settings == (["TimeZone=UTC"],)


def test_median_of_several_teams_counts_a_shared_pull_request_once(demo: Database) -> None:
    (sql,) = (query for query in QUERIES if "{{teams}}" in query)
    found = {row["month"]: row["prs_merged"] for row in rows_of(demo, filled(sql))}
    once = rows_of(
        demo,
        """
        select month, count(distinct pull_request_id) as once, count(*) as by_team
        from marts.fct_team_pull_requests
        where team_id in ('payments', 'storefront') and month is not null
        group by month
        """,
    )
    assert found == {row["month"]: row["once"] for row in once}
    assert any(row["once"] < row["by_team"] for row in once)
