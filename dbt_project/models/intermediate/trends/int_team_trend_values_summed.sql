with

observed as (
    select * from {{ ref('int_team_trends_observed') }}
),

summed as (
    select
        team_id,
        metric,
        span,
        count(*) as sample_size,
        case
            when metric in ('lead_time_hours', 'change_lead_time_hours')
                then percentile_cont(0.5) within group (order by observed_value)
            -- Counts and rates: exact decimals, so independent of the order.
            else avg(observed_value::numeric)::double precision
        end as typical_value
    from observed
    group by team_id, metric, span
)

select * from summed
