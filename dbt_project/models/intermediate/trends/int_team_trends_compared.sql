with

windows as (
    select * from {{ ref('int_trend_windows_dated') }}
),

teams as (
    select * from {{ ref('stg_teams__teams') }}
),

summed as (
    select * from {{ ref('int_team_trend_values_summed') }}
),

ranked as (
    select * from {{ ref('int_team_trends_ranked') }}
),

metrics as (
    select *
    from (
        values
        ('merged_per_week', false, 0, 8),
        ('lead_time_hours', true, 1, 20),
        ('deployments_per_week', false, 0, 8),
        ('change_lead_time_hours', true, 1, 20),
        ('change_fail_rate', true, 0, 20)
    ) as metrics (metric, is_higher_worse, least_change, least_sample_size)
),

compared as (
    select
        teams.team_id,
        metrics.*,
        earlier_window.span as compared_with,
        window_now.first_week,
        earlier_window.first_week as earlier_first_week,
        summed.typical_value as current_value,
        earlier_summed.typical_value as earlier_value,
        coalesce(summed.sample_size, 0) as sample_size,
        coalesce(earlier_summed.sample_size, 0) as earlier_sample_size,
        least(ranked.weeks, earlier_ranked.weeks) as least_weeks,
        -- The excess of values of now over earlier ones, in pairs; 0 if they are alike.
        (ranked.places - ranked.sample_size * earlier_ranked.sample_size)
        ::double precision as excess,
        ranked.variance + earlier_ranked.variance as variance
    from teams
    cross join metrics
    inner join windows as window_now on window_now.span = 'current'
    inner join windows as earlier_window on earlier_window.span <> 'current'
    left join summed
        on teams.team_id = summed.team_id
        and metrics.metric = summed.metric
        and summed.span = 'current'
    left join summed as earlier_summed
        on teams.team_id = earlier_summed.team_id
        and metrics.metric = earlier_summed.metric
        and earlier_window.span = earlier_summed.span
    left join ranked
        on teams.team_id = ranked.team_id
        and metrics.metric = ranked.metric
        and earlier_window.span = ranked.compared_with
        and ranked.is_current
    left join ranked as earlier_ranked
        on teams.team_id = earlier_ranked.team_id
        and metrics.metric = earlier_ranked.metric
        and earlier_window.span = earlier_ranked.compared_with
        and not earlier_ranked.is_current
)

select * from compared
