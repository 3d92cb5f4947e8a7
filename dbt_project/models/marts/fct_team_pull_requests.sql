{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        pre_hook=[
            "{{ expect_one_build(['int_pull_requests_touched', 'fct_pull_requests']) }}",
            "{{ note_touched_periods() }}",
            "{{ replace_touched_pull_requests() }}",
        ],
        post_hook=[
            "{{ note_touched_periods() }}",
            "{{ remember_inputs() }}",
            "{{ analyze_if_many() }}",
        ],
        indexes=[
            {'columns': ['team_id', 'merged_at']},
            {'columns': ['team_id', 'month', 'week']},
        ],
    )
}}
{%- set timezone = var('reporting_timezone') %}

with

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
),

dated as (
    select
        team_id,
        pull_request_id,
        weight,
        attributed_at,
        merged_at,
        {{ period_of('merged_at', 'week', timezone) }} as week,
        {{ period_of('merged_at', 'month', timezone) }} as month
    from attributions
)

select * from dated
