{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='pull_request_id',
        pre_hook=["{{ set_work_mem() }}", "{{ expect_all_pull_requests() }}"],
        indexes=[
            {'columns': ['pull_request_id'], 'unique': true},
            {'columns': ['author_account_id']},
            {'columns': ['repository_id', 'created_at']},
            {'columns': ['state']},
        ],
        meta={'recomputed_if': 'has_new_rules'},
    )
}}

with

pull_requests as (
    select * from {{ ref('int_pull_requests_changed') }}
),

phases as (
    select * from {{ ref('int_pull_requests_phased') }}
),

measured as (
    select
        pull_requests.pull_request_id,
        pull_requests.repository_id,
        pull_requests.repository_name,
        pull_requests.number,
        pull_requests.title,
        pull_requests.url,
        pull_requests.author_account_id,
        pull_requests.author_login,
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
        pull_requests.commits,
        pull_requests.base_ref,
        pull_requests.head_ref,
        pull_requests.merge_commit_sha,
        pull_requests.head_sha,
        pull_requests.reverts,
        pull_requests.says_revert,
        pull_requests.is_hotfix,
        pull_requests.merged_by_login,
        pull_requests.is_by_bot,
        pull_requests.vanished_at,
        pull_requests.excluded_by
    from pull_requests
    left join phases
        on pull_requests.pull_request_id = phases.pull_request_id
)

select * from measured
