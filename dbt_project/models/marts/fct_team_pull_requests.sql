{{ config(indexes=[{'columns': ['team_id', 'merged_at']}]) }}
{%- set timezone = var('reporting_timezone') -%}

with

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
),

pull_requests as (
    select * from {{ ref('fct_pull_requests') }}
),

dated as (
    select
        attributions.team_id,
        attributions.pull_request_id,
        attributions.weight,
        attributions.attributed_at,
        pull_requests.merged_at,
        {{ period_of('pull_requests.merged_at', 'week', timezone) }} as week,
        {{ period_of('pull_requests.merged_at', 'month', timezone) }} as month
    from attributions
    inner join pull_requests
        on attributions.pull_request_id = pull_requests.pull_request_id
)

select * from dated
