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

with

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
),

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
),

periods as (
    select
        team_id,
        week
    from attributions
    where
        week is not null
        and (
            not {{ is_incremental() | lower }}
            or pull_request_id in (
                select changed.pull_request_id
                from {{ ref('int_pull_requests_changed') }} as changed
            )
        )
    group by team_id, week
),

merged as (
    select
        periods.team_id,
        periods.week,
        attributions.pull_request_id,
        attributions.author_id,
        attributions.weight,
        pull_requests.cycle_time_hours
    from periods
    left join attributions
        on periods.team_id = attributions.team_id
        and periods.week = attributions.week
        -- So that the index of months finds them.
        and attributions.month between
        date_trunc('month', periods.week)::date and periods.week + 6
        and attributions.is_current
    left join pull_requests
        on attributions.pull_request_id = pull_requests.pull_request_id
),

summed as (
    select
        team_id,
        week,
        count(pull_request_id) as prs_merged,
        coalesce(sum(weight), 0)::numeric(12, 2) as weighted_prs_merged,
        -- In a fixed order, so that the last bits do not depend on the query's plan.
        avg(cycle_time_hours order by cycle_time_hours) as avg_cycle_time_hours,
        sum(weight * cycle_time_hours order by cycle_time_hours, weight)
        / nullif(sum(weight), 0) as weighted_avg_cycle_time_hours,
        count(distinct author_id) as contributors
    from merged
    group by team_id, week
)

select * from summed
