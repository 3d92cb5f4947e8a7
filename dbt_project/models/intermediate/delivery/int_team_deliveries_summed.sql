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
    select * from {{ ref('int_deployment_shares') }}
),

delivered as (
    select * from {{ ref('int_changes_delivered') }}
    where deployed_at is not null
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current
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

deployed as (
    select
        shares.team_id,
        units.unit,
        date_trunc(
            units.unit, deployments.deployed_at at time zone '{{ timezone }}'
        )::date as period,
        date_trunc(
            units.unit, deployments.recovered_at at time zone '{{ timezone }}'
        )::date as recovery_period,
        (deployments.deployed_at at time zone '{{ timezone }}')::date as day,
        shares.share,
        deployments.kind,
        deployments.is_failed,
        deployments.failure_causes[1] as failure_cause,
        deployments.is_rework,
        deployments.recovered_at,
        deployments.recovery_hours,
        deployments.is_failed
        and coalesce(
            deployments.recovered_at > least(coverage.as_of, covered.as_of), true
        ) as is_open
    from shares
    inner join deployments on shares.deployment_id = deployments.deployment_id
    cross join units
    cross join covered
    cross join coverage
),

counted as (
    select
        team_id,
        unit,
        period,
        count(*) filter (where kind = 'deploy') as deployments,
        sum(share order by share) filter (where kind = 'deploy')
            as weighted_deployments,
        count(distinct day) filter (where kind = 'deploy') as deployment_days,
        count(*) filter (where kind = 'rollback') as rollbacks,
        count(*) filter (where is_failed) as failed_deployments,
        count(*) filter (where failure_cause = 'incident') as failed_by_incident,
        count(*) filter (where failure_cause = 'rollback') as failed_by_rollback,
        count(*) filter (where failure_cause = 'revert') as failed_by_revert,
        count(*) filter (where failure_cause = 'hotfix') as failed_by_hotfix,
        count(*) filter (where failure_cause = 'status') as failed_by_status,
        coalesce(sum(share order by share) filter (where is_failed), 0)
            as weighted_failed_deployments,
        count(*) filter (where is_rework) as rework_deployments,
        coalesce(sum(share order by share) filter (where is_rework), 0)
            as weighted_rework_deployments,
        sum(share order by share) as weighted_deployments_and_rollbacks,
        count(*) filter (where is_open) as failures_open
    from deployed
    group by team_id, unit, period
),

weighed_recoveries as (
    select
        team_id,
        unit,
        recovery_period as period,
        recovery_hours,
        share,
        sum(share) over (
            partition by team_id, unit, recovery_period order by recovery_hours
        ) as cumulative_share,
        sum(share) over (partition by team_id, unit, recovery_period) as total_share
    from deployed
    where recovered_at is not null
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
),

weighed_changes as (
    select
        attributions.team_id,
        units.unit,
        starts.period,
        attributions.weight,
        delivered.change_lead_time_hours,
        delivered.deploy_hours,
        delivered.has_stages,
        delivered.coding_hours,
        delivered.draft_hours,
        delivered.pickup_hours,
        delivered.review_hours,
        sum(attributions.weight) over (
            partition by attributions.team_id, units.unit, starts.period
            order by delivered.change_lead_time_hours
        ) as cumulative_weight,
        sum(attributions.weight) over (
            partition by attributions.team_id, units.unit, starts.period
        ) as total_weight
    from delivered
    inner join attributions
        on delivered.pull_request_id = attributions.pull_request_id
    cross join units
    cross join
        lateral (
            values (
                date_trunc(
                    units.unit, delivered.deployed_at at time zone '{{ timezone }}'
                )::date
            )
        ) as starts (period)
),

changed as (
    select
        team_id,
        unit,
        period,
        count(*) as changes_deployed,
        sum(weight)::numeric(12, 2) as weighted_changes_deployed,
        percentile_cont(array[0.5, 0.95]) within group (
            order by change_lead_time_hours
        ) as change_lead_times_hours,
        min(change_lead_time_hours) filter (
            where weight > 0 and cumulative_weight >= 0.5 * total_weight
        ) as weighted_median_change_lead_time_hours,
        min(change_lead_time_hours) filter (
            where weight > 0 and cumulative_weight >= 0.95 * total_weight
        ) as weighted_p95_change_lead_time_hours,
        percentile_cont(0.5) within group (order by deploy_hours)
            as median_deploy_hours,
        avg(coding_hours order by coding_hours) filter (where has_stages)
            as avg_coding_hours,
        avg(draft_hours order by draft_hours) filter (where has_stages)
            as avg_draft_hours,
        avg(pickup_hours order by pickup_hours) filter (where has_stages)
            as avg_pickup_hours,
        avg(review_hours order by review_hours) filter (where has_stages)
            as avg_review_hours,
        avg(deploy_hours order by deploy_hours) filter (where has_stages)
            as avg_deploy_hours
    from weighed_changes
    group by team_id, unit, period
),

periods as (
    select
        team_id,
        unit,
        period
    from counted
    union
    select
        team_id,
        unit,
        period
    from recovered
    union
    select
        team_id,
        unit,
        period
    from changed
)

select
    periods.team_id,
    periods.unit,
    periods.period,
    coalesce(counted.deployments, 0) as deployments,
    coalesce(counted.weighted_deployments, 0) as weighted_deployments,
    coalesce(counted.deployment_days, 0) as deployment_days,
    coalesce(counted.rollbacks, 0) as rollbacks,
    coalesce(changed.changes_deployed, 0) as changes_deployed,
    coalesce(changed.weighted_changes_deployed, 0)::numeric(12, 2)
        as weighted_changes_deployed,
    changed.change_lead_times_hours[1] as median_change_lead_time_hours,
    changed.change_lead_times_hours[2] as p95_change_lead_time_hours,
    changed.weighted_median_change_lead_time_hours,
    changed.weighted_p95_change_lead_time_hours,
    changed.median_deploy_hours,
    changed.avg_coding_hours,
    changed.avg_draft_hours,
    changed.avg_pickup_hours,
    changed.avg_review_hours,
    changed.avg_deploy_hours,
    coalesce(counted.failed_deployments, 0) as failed_deployments,
    coalesce(counted.failed_by_incident, 0) as failed_by_incident,
    coalesce(counted.failed_by_rollback, 0) as failed_by_rollback,
    coalesce(counted.failed_by_revert, 0) as failed_by_revert,
    coalesce(counted.failed_by_hotfix, 0) as failed_by_hotfix,
    coalesce(counted.failed_by_status, 0) as failed_by_status,
    counted.failed_deployments::double precision
    / nullif(counted.deployments, 0) as change_fail_rate,
    counted.weighted_failed_deployments
    / nullif(counted.weighted_deployments, 0) as weighted_change_fail_rate,
    coalesce(counted.rework_deployments, 0) as rework_deployments,
    counted.rework_deployments::double precision
    / nullif(counted.deployments + counted.rollbacks, 0) as deployment_rework_rate,
    counted.weighted_rework_deployments
    / nullif(counted.weighted_deployments_and_rollbacks, 0)
        as weighted_deployment_rework_rate,
    coalesce(recovered.failures_recovered, 0) as failures_recovered,
    recovered.median_recovery_hours,
    recovered.weighted_median_recovery_hours,
    coalesce(counted.failures_open, 0) as failures_open
from periods
left join counted
    on periods.team_id = counted.team_id
    and periods.unit = counted.unit
    and periods.period = counted.period
left join recovered
    on periods.team_id = recovered.team_id
    and periods.unit = recovered.unit
    and periods.period = recovered.period
left join changed
    on periods.team_id = changed.team_id
    and periods.unit = changed.unit
    and periods.period = changed.period
