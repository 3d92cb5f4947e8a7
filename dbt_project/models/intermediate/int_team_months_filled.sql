with

periods as (
    select * from {{ ref('int_team_periods_spanned') }}
    where unit = 'month'
),

sums as (
    select * from {{ ref('int_team_months_summed') }}
),

filled as (
    select
        periods.team_id,
        periods.is_group,
        periods.period as month,
        coalesce(sums.prs_merged, 0) as prs_merged,
        sums.median_lead_time_hours,
        sums.p95_lead_time_hours,
        sums.weighted_median_lead_time_hours,
        sums.weighted_p95_lead_time_hours,
        sums.median_coding_hours,
        sums.median_draft_hours,
        sums.median_pickup_hours,
        sums.median_review_hours,
        periods.is_complete
    from periods
    left join sums
        on periods.team_id = sums.team_id and periods.period = sums.month
)

select * from filled
