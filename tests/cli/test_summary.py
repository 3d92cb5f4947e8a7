"""The summary at the end of `dora run`."""

import pytest

from cli.summary import print_summary
from dora.database import Database
from dora.roles import READER


def test_summary_ends_with_the_dora_metrics_of_the_last_whole_month(
    demo: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo.connect(READER) as connection:
        ((month, deployments, rate),) = connection.execute(
            """
            select month, deployments, change_fail_rate
            from marts.fct_team_delivery_monthly
            where team_id = 'payments' and is_complete
            order by month desc
            limit 1
            """
        ).fetchall()
    print_summary(demo)
    weeks, _, metrics = capsys.readouterr().out.partition("DORA metrics of ")
    assert "Merged pull requests by week" in weeks
    assert metrics.startswith(f"{month:%B %Y}")
    (payments,) = (line.split("│") for line in metrics.splitlines() if "Payments" in line)
    assert payments[3].strip() == str(deployments)
    assert payments[4].strip() == f"{rate:.0%}"


def test_summary_without_deployments_says_what_to_do(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            create table marts.dim_teams as select 'web' as team_id, 'Web' as team_name;
            create table marts.dim_build as select now() as as_of;
            create table marts.fct_team_velocity_weekly as
            select
                'web' as team_id, date '2026-01-05' as week, 1 as prs_merged,
                1.0 as weighted_prs_merged, 2.0 as avg_cycle_time_hours, true as is_complete;
            create table marts.fct_team_delivery_monthly as
            select
                'web' as team_id, date '2026-01-01' as month, null::int as deployments,
                null::int as rollbacks, null::int as median_change_lead_time_hours,
                null::int as change_fail_rate, null::int as median_recovery_hours,
                null::int as deployment_rework_rate, true as is_complete, false as is_settled;
            grant select on all tables in schema marts to dora_reader;
            """
        )
    print_summary(database)
    printed = capsys.readouterr()
    assert "DORA metrics" not in printed.out
    assert "dora deployments check" in printed.out + printed.err
