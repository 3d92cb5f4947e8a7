with

periods as (
    select * from {{ ref('int_team_periods_spanned') }}
    where unit = 'week'
),

sums as (
    select * from {{ ref('int_team_weeks_summed') }}
),

filled as (
    select
        periods.team_id,
        periods.is_group,
        periods.period as week,
        coalesce(sums.prs_merged, 0) as prs_merged,
        coalesce(sums.weighted_prs_merged, 0)::numeric(12, 2) as weighted_prs_merged,
        sums.avg_cycle_time_hours,
        sums.weighted_avg_cycle_time_hours,
        coalesce(sums.contributors, 0) as contributors,
        periods.is_complete
    from periods
    left join sums
        on periods.team_id = sums.team_id and periods.period = sums.week
)

select * from filled
