{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        pre_hook=[
            "{{ expect_one_build(['int_pull_requests_touched', 'int_pull_requests_tracked']) }}",
            "{{ replace_touched_pull_requests() }}",
        ],
        post_hook=["{{ remember_inputs() }}", "{{ analyze_if_many() }}"],
        indexes=[{'columns': ['author']}, {'columns': ['merged_at']}],
    )
}}

with

pull_requests as (
    select * from {{ ref('int_pull_requests_tracked') }}
),

phases as (
    select * from {{ ref('int_pull_requests_phased') }}
),

joined as (
    select
        pull_requests.pull_request_id,
        pull_requests.repository,
        pull_requests.number,
        pull_requests.title,
        pull_requests.url,
        pull_requests.author_login as author,
        pull_requests.author_person_id as author_id,
        pull_requests.state,
        pull_requests.is_draft,
        pull_requests.labels,
        pull_requests.created_at,
        pull_requests.updated_at,
        pull_requests.closed_at,
        pull_requests.merged_at,
        pull_requests.attributed_at,
        pull_requests.first_commit_at,
        least(
            pull_requests.first_commit_at, pull_requests.created_at
        ) as work_started_at,
        phases.first_review_at,
        {{ hours('(pull_requests.merged_at - pull_requests.created_at)') }}
            as cycle_time_hours,
        phases.coding_hours,
        phases.draft_hours,
        phases.pickup_hours,
        phases.review_hours,
        phases.total_hours,
        pull_requests.additions,
        pull_requests.deletions,
        pull_requests.additions + pull_requests.deletions as size,
        pull_requests.changed_files,
        pull_requests.commits
    from pull_requests
    left join phases
        on pull_requests.pull_request_id = phases.pull_request_id
)

select * from joined
