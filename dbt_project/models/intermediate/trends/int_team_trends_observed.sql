{{
    config(
        materialized='table',
        pre_hook="{{ set_work_mem() }}",
        indexes=[{'columns': ['team_id', 'metric', 'span', 'week']}],
    )
}}

with

weeks as (
    select * from {{ ref('int_trend_weeks_listed') }}
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current
),

changes as (
    select * from {{ ref('int_changes_attributed') }}
    where is_current
),

-- One row per week.
counted as (
    select
        weeks.team_id,
        counts.metric,
        weeks.span,
        weeks.week,
        counts.observed_value
    from weeks
    cross join
        lateral (
            values
            ('merged_per_week', weeks.weighted_prs_merged::double precision),
            ('deployments_per_week', weeks.deployments::double precision)
        ) as counts (metric, observed_value)
    where counts.observed_value is not null
),

-- One row per deployment: 1 if it failed, else 0.
failed as (
    select
        weeks.team_id,
        'change_fail_rate' as metric,
        weeks.span,
        weeks.week,
        (place.number <= weeks.failed_deployments)::int::double precision
            as observed_value
    from weeks
    cross join lateral generate_series(1, weeks.settled_deployments) as place (number)
),

-- One row per pull request. The months allow the use of the indexes.
merged as (
    select
        weeks.team_id,
        'lead_time_hours' as metric,
        weeks.span,
        weeks.week,
        attributions.cycle_time_hours as observed_value
    from weeks
    inner join attributions
        on weeks.team_id = attributions.team_id
        and weeks.week = attributions.week
        and attributions.month between
        date_trunc('month', weeks.week)::date and weeks.week + 6
    where weeks.weighted_prs_merged is not null
),

deployed as (
    select
        weeks.team_id,
        'change_lead_time_hours' as metric,
        weeks.span,
        weeks.week,
        changes.change_lead_time_hours as observed_value
    from weeks
    inner join changes
        on weeks.team_id = changes.team_id
        and weeks.week = changes.week
        and changes.month between
        date_trunc('month', weeks.week)::date and weeks.week + 6
    where weeks.deployments is not null
),

observed as (
    select * from counted
    union all
    select * from failed
    union all
    select * from merged
    union all
    select * from deployed
)

select * from observed
