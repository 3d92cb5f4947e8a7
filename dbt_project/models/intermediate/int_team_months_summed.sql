{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['team_id', 'month'],
        pre_hook="{{ set_work_mem() }}",
        indexes=[{'columns': ['team_id', 'month'], 'unique': true}],
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
        month
    from attributions
    where
        month is not null
    {%- if is_incremental() %}
        and pull_request_id in (
            select changed.pull_request_id
            from {{ ref('int_pull_requests_changed') }} as changed
        )
    {%- endif %}
    group by team_id, month
),

merged as (
    select
        periods.team_id,
        periods.month,
        attributions.pull_request_id,
        attributions.weight,
        attributions.cycle_time_hours,
        attributions.coding_hours,
        attributions.draft_hours,
        attributions.pickup_hours,
        attributions.review_hours,
        sum(attributions.weight) over (
            partition by periods.team_id, periods.month
            order by attributions.cycle_time_hours
        ) as cumulative_weight,
        sum(attributions.weight) over (
            partition by periods.team_id, periods.month
        ) as total_weight
    from periods
    left join attributions
        on periods.team_id = attributions.team_id
        and periods.month = attributions.month
        and attributions.is_current
),

summed as (
    select
        team_id,
        month,
        count(pull_request_id) as prs_merged,
        -- The median and the 95th percentile in one sort.
        percentile_cont(array[0.5, 0.95]) within group (order by cycle_time_hours)
            as lead_times_hours,
        -- Weight 0 does not count.
        min(cycle_time_hours) filter (
            where weight > 0 and cumulative_weight >= 0.5 * total_weight
        ) as weighted_median_lead_time_hours,
        min(cycle_time_hours) filter (
            where weight > 0 and cumulative_weight >= 0.95 * total_weight
        ) as weighted_p95_lead_time_hours,
        percentile_cont(0.5) within group (order by coding_hours)
            as median_coding_hours,
        percentile_cont(0.5) within group (order by draft_hours)
            as median_draft_hours,
        percentile_cont(0.5) within group (order by pickup_hours)
            as median_pickup_hours,
        percentile_cont(0.5) within group (order by review_hours)
            as median_review_hours
    from merged
    group by team_id, month
)

select
    team_id,
    month,
    prs_merged,
    lead_times_hours[1] as median_lead_time_hours,
    lead_times_hours[2] as p95_lead_time_hours,
    weighted_median_lead_time_hours,
    weighted_p95_lead_time_hours,
    median_coding_hours,
    median_draft_hours,
    median_pickup_hours,
    median_review_hours
from summed
