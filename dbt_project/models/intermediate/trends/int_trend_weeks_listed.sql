with

windows as (
    select * from {{ ref('int_trend_windows_dated') }}
),

flow as (
    select * from {{ ref('int_team_weeks_filled') }}
    where is_complete
),

-- Every week of a team, also those of changes deployed after its last member left.
delivery as (
    select * from {{ ref('int_team_deliveries_filled') }}
    where unit = 'week' and not is_group
),

listed as (
    select
        delivery.team_id,
        windows.span,
        delivery.period as week,
        flow.weighted_prs_merged,
        case when delivery.is_complete then delivery.deployments end as deployments,
        case when delivery.is_settled then delivery.deployments end
            as settled_deployments,
        case when delivery.is_settled then delivery.failed_deployments end
            as failed_deployments
    from delivery
    inner join windows
        on delivery.period between windows.first_week and windows.last_week
    left join flow
        on delivery.team_id = flow.team_id and delivery.period = flow.week
)

select * from listed
