{{
    config(
        materialized='table',
        pre_hook="{{ set_work_mem() }}",
        indexes=[{'columns': ['team_id', 'unit', 'period'], 'unique': true}],
    )
}}
{%- set timezone = reporting_timezone() %}

with

deployments as (
    select * from {{ ref('int_deployments_judged') }}
),

shares as (
    select
        team_id,
        deployment_id,
        share,
        -- Sums of it do not depend on the order of the rows.
        share::numeric as exact_share
    from {{ ref('int_deployment_shares') }}
    where team_id <> 'unassigned'
),

covered as (
    select * from {{ ref('int_delivery_covered') }}
),

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

units as (
    select units.unit
    from (values ('week'), ('month')) as units (unit)
),

dated as (
    select
        deployments.deployment_id,
        (deployments.deployed_at at time zone '{{ timezone }}')::date as day,
        deployments.kind,
        deployments.is_failed,
        deployments.failure_causes[1] as failure_cause,
        deployments.is_rework,
        deployments.is_failed
        and coalesce(
            deployments.recovered_at > least(coverage.as_of, covered.as_of), true
        ) as is_open
    from deployments
    cross join covered
    cross join coverage
),

daily as (
    select
        shares.team_id,
        dated.day,
        count(*) filter (where dated.kind = 'deploy') as deployments,
        coalesce(sum(shares.exact_share) filter (where dated.kind = 'deploy'), 0)
            as deployed_share,
        count(*) filter (where dated.kind = 'rollback') as rollbacks,
        count(*) filter (where dated.is_failed) as failed,
        count(*) filter (where dated.failure_cause = 'incident') as by_incident,
        count(*) filter (where dated.failure_cause = 'rollback') as by_rollback,
        count(*) filter (where dated.failure_cause = 'revert') as by_revert,
        count(*) filter (where dated.failure_cause = 'hotfix') as by_hotfix,
        count(*) filter (where dated.failure_cause = 'status') as by_status,
        coalesce(sum(shares.exact_share) filter (where dated.is_failed), 0)
            as failed_share,
        count(*) filter (where dated.is_rework) as rework,
        coalesce(sum(shares.exact_share) filter (where dated.is_rework), 0)
            as rework_share,
        sum(shares.exact_share) as whole_share,
        count(*) filter (where dated.is_open) as failures_open
    from shares
    inner join dated on shares.deployment_id = dated.deployment_id
    group by shares.team_id, dated.day
),

counted as (
    select
        daily.team_id,
        units.unit,
        date_trunc(units.unit, daily.day::timestamp)::date as period,
        sum(daily.deployments)::bigint as deployments,
        sum(daily.deployed_share) as deployed_share,
        count(*) filter (where daily.deployments > 0) as deployment_days,
        sum(daily.rollbacks)::bigint as rollbacks,
        sum(daily.failed)::bigint as failed_deployments,
        sum(daily.by_incident)::bigint as failed_by_incident,
        sum(daily.by_rollback)::bigint as failed_by_rollback,
        sum(daily.by_revert)::bigint as failed_by_revert,
        sum(daily.by_hotfix)::bigint as failed_by_hotfix,
        sum(daily.by_status)::bigint as failed_by_status,
        sum(daily.failed_share) as failed_share,
        sum(daily.rework)::bigint as rework_deployments,
        sum(daily.rework_share) as rework_share,
        sum(daily.whole_share) as whole_share,
        sum(daily.failures_open)::bigint as failures_open
    from daily
    cross join units
    group by daily.team_id, units.unit, period
),

weighed_recoveries as (
    select
        shares.team_id,
        units.unit,
        starts.period,
        deployments.recovery_hours,
        shares.share,
        sum(shares.share) over (
            partition by shares.team_id, units.unit, starts.period
            order by deployments.recovery_hours
        ) as cumulative_share,
        sum(shares.share) over (
            partition by shares.team_id, units.unit, starts.period
        ) as total_share
    from deployments
    inner join shares on deployments.deployment_id = shares.deployment_id
    cross join units
    cross join
        lateral (
            values (
                date_trunc(
                    units.unit, deployments.recovered_at at time zone '{{ timezone }}'
                )::date
            )
        ) as starts (period)
    where deployments.recovered_at is not null
),

recovered as (
    select
        team_id,
        unit,
        period,
        count(*) as failures_recovered,
        percentile_cont(0.5) within group (order by recovery_hours)
            as median_recovery_hours,
        min(recovery_hours) filter (
            where share > 0 and {{ reaches('cumulative_share', '0.5 * total_share') }}
        ) as weighted_median_recovery_hours
    from weighed_recoveries
    group by team_id, unit, period
)

select
    coalesce(counted.team_id, recovered.team_id) as team_id,
    coalesce(counted.unit, recovered.unit) as unit,
    coalesce(counted.period, recovered.period) as period,
    coalesce(counted.deployments, 0) as deployments,
    coalesce(counted.deployed_share, 0)::double precision as weighted_deployments,
    coalesce(counted.deployment_days, 0) as deployment_days,
    coalesce(counted.rollbacks, 0) as rollbacks,
    coalesce(counted.failed_deployments, 0) as failed_deployments,
    coalesce(counted.failed_by_incident, 0) as failed_by_incident,
    coalesce(counted.failed_by_rollback, 0) as failed_by_rollback,
    coalesce(counted.failed_by_revert, 0) as failed_by_revert,
    coalesce(counted.failed_by_hotfix, 0) as failed_by_hotfix,
    coalesce(counted.failed_by_status, 0) as failed_by_status,
    counted.failed_deployments::double precision
    / nullif(counted.deployments, 0) as change_fail_rate,
    (counted.failed_share / nullif(counted.deployed_share, 0))::double precision
        as weighted_change_fail_rate,
    coalesce(counted.rework_deployments, 0) as rework_deployments,
    counted.rework_deployments::double precision
    / nullif(counted.deployments + counted.rollbacks, 0) as deployment_rework_rate,
    (counted.rework_share / nullif(counted.whole_share, 0))::double precision
        as weighted_deployment_rework_rate,
    coalesce(recovered.failures_recovered, 0) as failures_recovered,
    recovered.median_recovery_hours,
    recovered.weighted_median_recovery_hours,
    coalesce(counted.failures_open, 0) as failures_open
from counted
full outer join recovered
    on counted.team_id = recovered.team_id
    and counted.unit = recovered.unit
    and counted.period = recovered.period
