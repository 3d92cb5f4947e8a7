{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['team_id', 'week'],
        pre_hook="{{ set_work_mem() }}",
        indexes=[{'columns': ['team_id', 'week'], 'unique': true}],
        meta={'recomputed_if': 'has_new_memberships'},
    )
}}

-- depends_on: {{ ref('int_pull_requests_changed') }}
with

-- Not materialized: one use finds the periods by one index, another their rows by
-- another.
attributions as not materialized (
    select * from {{ ref('int_pull_requests_attributed') }}
),

periods as (
    select
        team_id,
        week
    from attributions
    where
        week is not null
    {%- if is_incremental() %}
        and pull_request_id in (
            select changed.pull_request_id
            from {{ ref('int_pull_requests_changed') }} as changed
        )
    {%- endif %}
    group by team_id, week
),

merged as (
    select
        periods.team_id,
        periods.week,
        attributions.pull_request_id,
        attributions.author_id,
        attributions.weight,
        attributions.cycle_time_hours
    from periods
    left join attributions
        on periods.team_id = attributions.team_id
        and periods.week = attributions.week
        -- Allows the use of the index on months.
        and attributions.month between
        date_trunc('month', periods.week)::date and periods.week + 6
        and attributions.is_current
),

summed as (
    select
        team_id,
        week,
        count(pull_request_id) as prs_merged,
        coalesce(sum(weight), 0)::numeric(12, 2) as weighted_prs_merged,
        {{ average_hours('cycle_time_hours') }} as cycle_microseconds,
        sum(weight * {{ microseconds('cycle_time_hours') }})
        / nullif(sum(weight), 0) as weighted_cycle_microseconds,
        count(distinct author_id) as contributors
    from merged
    group by team_id, week
)

select
    team_id,
    week,
    prs_merged,
    weighted_prs_merged,
    {{ as_hours('cycle_microseconds') }} as avg_cycle_time_hours,
    {{ as_hours('weighted_cycle_microseconds') }} as weighted_avg_cycle_time_hours,
    contributors
from summed
