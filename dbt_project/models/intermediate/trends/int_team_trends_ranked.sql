{{ config(materialized='table', pre_hook="{{ set_work_mem() }}") }}

with

observed as (
    select * from {{ ref('int_team_trends_observed') }}
),

sides as (
    select
        observed.team_id,
        observed.metric,
        comparisons.compared_with,
        observed.span = 'current' as is_current,
        observed.week,
        observed.observed_value
    from observed
    inner join
        (values ('quarter_before'), ('year_before')) as comparisons (compared_with)
        on observed.span in ('current', comparisons.compared_with)
),

-- Twice the number of the other side's values below each value; equal ones count once.
placed as (
    select
        *,
        2 * count(*) filter (where is_current) over up_to
        - count(*) filter (where is_current) over peers as current_below,
        2 * count(*) filter (where not is_current) over up_to
        - count(*) filter (where not is_current) over peers as earlier_below
    from sides
    window
        up_to as (partition by team_id, metric, compared_with order by observed_value),
        peers as (partition by team_id, metric, compared_with, observed_value)
),

weekly as (
    select
        team_id,
        metric,
        compared_with,
        is_current,
        week,
        count(*)::numeric as size,
        sum(case when is_current then earlier_below else current_below end) as places
    from placed
    group by team_id, metric, compared_with, is_current, week
),

summed as (
    select
        team_id,
        metric,
        compared_with,
        is_current,
        count(*) as weeks,
        sum(size) as size,
        sum(places) as places,
        -- The sum of (places - size * mean) squared, over the weeks, times the square
        -- of the side's size. Whole numbers, so exact in any order of the rows.
        sum(size) * sum(size) * sum(places * places)
        - 2 * sum(size) * sum(places) * sum(size * places)
        + sum(places) * sum(places) * sum(size * size) as scaled_spread
    from weekly
    group by team_id, metric, compared_with, is_current
)

select
    team_id,
    metric,
    compared_with,
    is_current,
    weeks,
    size::bigint as sample_size,
    places,
    -- The variance of `places`; null for a single week.
    scaled_spread::double precision / (size * size)::double precision
    * weeks / nullif(weeks - 1, 0) as variance
from summed
