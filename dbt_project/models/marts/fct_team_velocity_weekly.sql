{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        pre_hook="{{ replace_touched_periods('week') }}",
    )
}}

with

spanned as (
    select * from {{ ref('int_team_periods_spanned') }}
    where unit = 'week'
),

periods as (
    select spanned.*
    from spanned
    {%- if is_incremental() %}
    left join {{ this }} as done
        on spanned.team_id = done.team_id and spanned.period = done.week
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
        attributions.week,
        attributions.weight,
        pull_requests.author_id,
        pull_requests.cycle_time_hours
    from periods
    inner join attributions
        on periods.team_id = attributions.team_id
        and periods.period = attributions.week
        -- So that the index of months finds them.
        and attributions.month between
        date_trunc('month', periods.period)::date and periods.period + 6
    inner join pull_requests
        on attributions.pull_request_id = pull_requests.pull_request_id
    where pull_requests.merged_at is not null
),

summed as (
    select
        team_id,
        week,
        count(*) as prs_merged,
        sum(weight) as weighted_prs_merged,
        -- In a fixed order, so that the last bits do not hang on the query's plan.
        avg(cycle_time_hours order by cycle_time_hours) as avg_cycle_time_hours,
        sum(weight * cycle_time_hours order by cycle_time_hours, weight)
        / nullif(sum(weight), 0) as weighted_avg_cycle_time_hours,
        count(distinct author_id) as contributors
    from merged
    group by team_id, week
),

weekly as (
    select
        periods.team_id,
        periods.period as week,
        coalesce(summed.prs_merged, 0) as prs_merged,
        coalesce(summed.weighted_prs_merged, 0)::numeric(12, 2) as weighted_prs_merged,
        summed.avg_cycle_time_hours,
        summed.weighted_avg_cycle_time_hours,
        coalesce(summed.contributors, 0) as contributors,
        periods.is_complete
    from periods
    left join summed
        on periods.team_id = summed.team_id and periods.period = summed.week
)

select * from weekly
