with

periods as (
    select * from {{ ref('metricflow_team_periods') }}
),

span as (
    select
        min(period) as first_day,
        max(period) as last_period
    from periods
),

calendar as (
    select midnights.instant::date as date_day
    from span
    cross join lateral generate_series(
        span.first_day::timestamp,
        span.last_period + interval '1 month' - interval '1 day',
        interval '1 day'
    ) as midnights (instant)
)

select * from calendar
