{{ config(materialized='table', pre_hook="{{ set_work_mem() }}") }}

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
    where is_current and has_stages
),

phased as (
    select
        weeks.team_id,
        'lead_time_hours' as metric,
        weeks.span,
        phases.phase,
        phases.hours
    from weeks
    inner join attributions
        on weeks.team_id = attributions.team_id
        and weeks.week = attributions.week
        and attributions.month between
        date_trunc('month', weeks.week)::date and weeks.week + 6
    cross join
        lateral (
            values
            ('draft', attributions.draft_hours),
            ('pickup', attributions.pickup_hours),
            ('review', attributions.review_hours)
        ) as phases (phase, hours)
    where weeks.weighted_prs_merged is not null
    union all
    select
        weeks.team_id,
        'change_lead_time_hours' as metric,
        weeks.span,
        phases.phase,
        phases.hours
    from weeks
    inner join changes
        on weeks.team_id = changes.team_id
        and weeks.week = changes.week
        and changes.month between
        date_trunc('month', weeks.week)::date and weeks.week + 6
    cross join
        lateral (
            values
            ('coding', changes.coding_hours),
            ('draft', changes.draft_hours),
            ('pickup', changes.pickup_hours),
            ('review', changes.review_hours),
            ('deploy', changes.deploy_hours)
        ) as phases (phase, hours)
    where weeks.deployments is not null
),

summed as (
    select
        team_id,
        metric,
        span,
        phase,
        percentile_cont(0.5) within group (order by hours) as hours
    from phased
    group by team_id, metric, span, phase
)

select * from summed
