with

weeks as (
    select * from {{ ref('fct_team_velocity_weekly') }}
),

months as (
    select * from {{ ref('fct_team_lead_time_monthly') }}
),

periods as (
    select
        team_id,
        'week' as unit,
        week as period,
        is_complete
    from weeks
    union all
    select
        team_id,
        'month' as unit,
        month as period,
        is_complete
    from months
),

attributions as (
    select * from {{ ref('fct_team_pull_requests') }}
),

pull_requests as (
    select * from {{ ref('fct_pull_requests') }}
),

merged as (
    select
        team_id,
        'week' as unit,
        week as period,
        pull_request_id,
        weight
    from attributions
    union all
    select
        team_id,
        'month' as unit,
        month as period,
        pull_request_id,
        weight
    from attributions
),

joined as (
    select
        periods.team_id,
        periods.unit,
        periods.period,
        periods.is_complete,
        merged.pull_request_id,
        pull_requests.author_id,
        merged.weight,
        pull_requests.cycle_time_hours,
        merged.weight * pull_requests.cycle_time_hours as weighted_cycle_time_hours,
        pull_requests.coding_hours,
        pull_requests.draft_hours,
        pull_requests.pickup_hours,
        pull_requests.review_hours
    from periods
    left join merged
        on
        periods.team_id = merged.team_id
        and periods.unit = merged.unit
        and periods.period = merged.period
    left join pull_requests
        on merged.pull_request_id = pull_requests.pull_request_id
)

select * from joined
