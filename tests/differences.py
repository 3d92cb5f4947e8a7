"""Compare the marts of a database with expected marts, computed from docs/metrics.md."""

from typing import Any

from psycopg.rows import dict_row

from dora.database import Database
from dora.roles import READER
from tests.reference import Marts, compare, keyed

VELOCITY = "select * from marts.fct_team_velocity_weekly"
LEAD_TIME = "select * from marts.fct_team_lead_time_monthly"
PULL_REQUESTS = "select * from marts.fct_pull_requests"
OPEN = """
    select fct_open_pull_requests.*, repository, number
    from marts.fct_open_pull_requests
    inner join marts.fct_pull_requests using (pull_request_id)
"""
ATTRIBUTION = """
    select fct_team_pull_requests.*, repository, number
    from marts.fct_team_pull_requests
    inner join marts.fct_pull_requests using (pull_request_id)
"""
GROUP_VELOCITY = "select * from marts.fct_group_velocity_weekly"
GROUP_LEAD_TIME = "select * from marts.fct_group_lead_time_monthly"
GROUP_ATTRIBUTION = """
    select fct_group_pull_requests.*, repository, number
    from marts.fct_group_pull_requests
    inner join marts.fct_pull_requests using (pull_request_id)
"""


def differences(database: Database, expected: Marts) -> list[str]:
    """List the differences to the expected marts, in every row and every column."""
    marts = (
        (expected.velocity, VELOCITY, ("team_id", "week")),
        (expected.lead_time, LEAD_TIME, ("team_id", "month")),
        (expected.pull_requests, PULL_REQUESTS, ("repository", "number")),
        (expected.open_pull_requests, OPEN, ("repository", "number")),
        (expected.team_pull_requests, ATTRIBUTION, ("team_id", "repository", "number")),
        (expected.group_velocity, GROUP_VELOCITY, ("group_id", "week")),
        (expected.group_lead_time, GROUP_LEAD_TIME, ("group_id", "month")),
        (expected.group_pull_requests, GROUP_ATTRIBUTION, ("group_id", "repository", "number")),
    )
    return [
        f"{query.split('.')[-1].strip()}: {difference}"
        for wanted, query, key in marts
        for difference in compare(wanted, _rows(database, query, *key))
    ]


def _rows(database: Database, query: str, *key: str) -> dict[Any, Any]:
    with database.connect(READER) as connection:
        found = connection.cursor(row_factory=dict_row).execute(query).fetchall()
    return keyed(found, *key)
