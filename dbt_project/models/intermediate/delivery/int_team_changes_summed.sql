{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['team_id', 'unit', 'period'],
        pre_hook="{{ set_work_mem() }}",
        indexes=[{'columns': ['team_id', 'unit', 'period'], 'unique': true}],
        meta={'recomputed_if': 'has_new_memberships'},
    )
}}

with

changes as not materialized (
    select * from {{ ref('int_changes_attributed') }}
),

changed as (
    select
        team_id,
        week,
        month
    from changes
    where {{ is_recomputed() }}
),

periods as (
    select
        team_id,
        'week' as unit,
        week as period
    from changed
    group by team_id, week
    union all
    select
        team_id,
        'month' as unit,
        month as period
    from changed
    group by team_id, month
),

deployed as (
    select
        periods.team_id as counted_for,
        periods.unit,
        periods.period,
        changes.*
    from periods
    left join changes
        on periods.team_id = changes.team_id
        and periods.period = changes.week
        -- Allows the use of the index on months.
        and changes.month between
        date_trunc('month', periods.period)::date and periods.period + 6
        and changes.is_current
    where periods.unit = 'week'
    union all
    select
        periods.team_id as counted_for,
        periods.unit,
        periods.period,
        changes.*
    from periods
    left join changes
        on periods.team_id = changes.team_id
        and periods.period = changes.month
        and changes.is_current
    where periods.unit = 'month'
),

weighed as (
    select
        *,
        sum(weight) over (
            partition by counted_for, unit, period order by change_lead_time_hours
        ) as cumulative_weight,
        sum(weight) over (partition by counted_for, unit, period) as total_weight
    from deployed
),

summed as (
    select
        counted_for as team_id,
        unit,
        period,
        count(pull_request_id) as changes_deployed,
        coalesce(sum(weight), 0)::numeric(12, 2) as weighted_changes_deployed,
        -- The median and the 95th percentile in one sort.
        percentile_cont(array[0.5, 0.95]) within group (
            order by change_lead_time_hours
        ) as change_lead_times_hours,
        -- Weight 0 does not count.
        min(change_lead_time_hours) filter (
            where weight > 0 and cumulative_weight >= 0.5 * total_weight
        ) as weighted_median_change_lead_time_hours,
        min(change_lead_time_hours) filter (
            where weight > 0 and cumulative_weight >= 0.95 * total_weight
        ) as weighted_p95_change_lead_time_hours,
        percentile_cont(0.5) within group (order by deploy_hours)
            as median_deploy_hours,
        {{ average_hours('coding_hours') }} filter (where has_stages)
            as coding_microseconds,
        {{ average_hours('draft_hours') }} filter (where has_stages)
            as draft_microseconds,
        {{ average_hours('pickup_hours') }} filter (where has_stages)
            as pickup_microseconds,
        {{ average_hours('review_hours') }} filter (where has_stages)
            as review_microseconds,
        {{ average_hours('deploy_hours') }} filter (where has_stages)
            as deploy_microseconds
    from weighed
    group by counted_for, unit, period
)

select
    team_id,
    unit,
    period,
    changes_deployed,
    weighted_changes_deployed,
    change_lead_times_hours[1] as median_change_lead_time_hours,
    change_lead_times_hours[2] as p95_change_lead_time_hours,
    weighted_median_change_lead_time_hours,
    weighted_p95_change_lead_time_hours,
    median_deploy_hours,
    {{ as_hours('coding_microseconds') }} as avg_coding_hours,
    {{ as_hours('draft_microseconds') }} as avg_draft_hours,
    {{ as_hours('pickup_microseconds') }} as avg_pickup_hours,
    {{ as_hours('review_microseconds') }} as avg_review_hours,
    {{ as_hours('deploy_microseconds') }} as avg_deploy_hours
from summed
