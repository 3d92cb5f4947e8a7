{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        pre_hook="{{ replace_touched_periods('month') }}",
    )
}}

with

spanned as (
    select * from {{ ref('int_team_periods_spanned') }}
    where unit = 'month'
),

periods as (
    select spanned.*
    from spanned
    {%- if is_incremental() %}
    left join {{ this }} as done
        on spanned.team_id = done.team_id and spanned.period = done.month
    where done.team_id is null
    {%- endif %}
),

attributions as (
    select * from {{ ref('fct_team_pull_requests') }}
),

pull_requests as (
    select * from {{ ref('fct_pull_requests') }}
),

merged as (
    select
        attributions.team_id,
        attributions.month,
        attributions.weight,
        pull_requests.cycle_time_hours,
        pull_requests.coding_hours,
        pull_requests.draft_hours,
        pull_requests.pickup_hours,
        pull_requests.review_hours,
        sum(attributions.weight) over (
            partition by attributions.team_id, attributions.month
            order by pull_requests.cycle_time_hours
        ) as cumulative_weight,
        sum(attributions.weight) over (
            partition by attributions.team_id, attributions.month
        ) as total_weight
    from periods
    inner join attributions
        on periods.team_id = attributions.team_id
        and periods.period = attributions.month
    inner join pull_requests
        on attributions.pull_request_id = pull_requests.pull_request_id
    where pull_requests.merged_at is not null
),

summed as (
    select
        team_id,
        month,
        count(*) as prs_merged,
        -- The median and the 95th percentile, of one sort.
        percentile_cont(array[0.5, 0.95]) within group (order by cycle_time_hours)
            as lead_times_hours,
        -- What has no weight is nobody's percentile.
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
),

monthly as (
    select
        periods.team_id,
        periods.period as month,
        coalesce(summed.prs_merged, 0) as prs_merged,
        summed.lead_times_hours[1] as median_lead_time_hours,
        summed.lead_times_hours[2] as p95_lead_time_hours,
        summed.weighted_median_lead_time_hours,
        summed.weighted_p95_lead_time_hours,
        summed.median_coding_hours,
        summed.median_draft_hours,
        summed.median_pickup_hours,
        summed.median_review_hours,
        periods.is_complete
    from periods
    left join summed
        on periods.team_id = summed.team_id and periods.period = summed.month
)

select * from monthly
