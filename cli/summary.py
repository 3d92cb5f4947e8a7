"""The tables at the end of `dora run`: each team's last weeks and DORA metrics."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from psycopg.rows import dict_row
from rich.table import Table

from cli.console import out, tell
from dora.database import Database
from dora.roles import READER

WEEKS = 6
_LAST_WEEKS = """
    with last_weeks as (
        select distinct week from marts.fct_team_velocity_weekly order by week desc limit %s
    )
    select team_name, week, prs_merged, weighted_prs_merged, avg_cycle_time_hours, is_complete
    from marts.dim_teams
    inner join marts.fct_team_velocity_weekly using (team_id)
    inner join last_weeks using (week)
    order by team_name, week
"""
# The last complete month, or the current one if there is no complete month.
_LAST_MONTH = """
    with last_month as (
        select coalesce(max(month) filter (where is_complete), max(month)) as month
        from marts.fct_team_delivery_monthly
    )
    select
        team_name, month, deployments, rollbacks, median_change_lead_time_hours,
        change_fail_rate, median_recovery_hours, deployment_rework_rate, is_settled
    from marts.dim_teams
    inner join marts.fct_team_delivery_monthly using (team_id)
    inner join last_month using (month)
    order by team_name
"""
_METRICS = {
    "lead time": ("median_change_lead_time_hours", "{:.1f} h"),
    "deployments": ("deployments", "{:d}"),
    "failed": ("change_fail_rate", "{:.0%}"),
    "recovery": ("median_recovery_hours", "{:.1f} h"),
    "rework": ("deployment_rework_rate", "{:.0%}"),
}


def print_summary(database: Database) -> None:
    """Print the last weeks of each team that has any, then the DORA metrics of the last month."""
    qualify = database.schemas.qualify
    with database.connect(READER) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        rows = cursor.execute(qualify(_LAST_WEEKS), [WEEKS]).fetchall()
        delivered = cursor.execute(qualify(_LAST_MONTH)).fetchall()
        build = cursor.execute(qualify("select as_of from marts.dim_build")).fetchone()
        has_teams = cursor.execute(qualify("select from marts.dim_teams limit 1")).fetchall()
    if not has_teams:
        tell("There are no teams yet: `dora teams draft` writes a first team file.")
        return
    if not rows or not build:
        tell("No team has a week with figures yet.")
        return
    out.print(_table(rows))
    out.print(
        f"* not over or not fully loaded; data up to {build['as_of']:%Y-%m-%d %H:%M}Z",
        style="dim",
    )
    if any(row["deployments"] is not None for row in delivered):
        out.print(_delivery_table(delivered))
        if not all(row["is_settled"] for row in delivered):
            out.print("not settled: a deployment of the month may still fail", style="dim")
    else:
        tell("No deployments are measured: `dora deployments check` shows what GitHub has.")


def _delivery_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=f"DORA metrics of {rows[0]['month']:%B %Y}")
    table.add_column("team", overflow="fold")
    for name in _METRICS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row["team_name"], *(_figure(row, *each) for each in _METRICS.values()))
    return table


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    weeks = sorted({row["week"] for row in rows})
    open_weeks = {row["week"] for row in rows if not row["is_complete"]}
    teams: dict[str, dict[Any, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        teams[row["team_name"]][row["week"]] = row
    table = Table(title=f"Merged pull requests by week, from {weeks[0]:%d %b %Y}")
    table.add_column("team", overflow="fold")
    table.add_column("", no_wrap=True)
    for week in weeks:
        table.add_column(
            f"{week:%d %b}{'*' if week in open_weeks else ''}", justify="right", no_wrap=True
        )
    for name, by_week in teams.items():
        found = [by_week.get(week) for week in weeks]
        table.add_row(name, "merged", *(_figure(row, "prs_merged", "{:d}") for row in found))
        table.add_row(
            "", "weighted", *(_figure(row, "weighted_prs_merged", "{:.1f}") for row in found)
        )
        table.add_row(
            "",
            "hours",
            *(_figure(row, "avg_cycle_time_hours", "{:.1f}") for row in found),
            end_section=True,
        )
    return table


def _figure(row: dict[str, Any] | None, name: str, form: str) -> str:
    """Format a figure; if there are no data, a dash, never a zero."""
    value = row[name] if row else None
    return "-" if value is None else form.format(value)
