-- Which merged pull requests belong to which target.
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook=["{{ set_work_mem() }}", "{{ delete_due_rows() }}"],
        indexes=[{'columns': ['pull_request_id', 'target_id'], 'unique': true}],
        meta={'recomputed_if': 'has_new_rules'},
    )
}}

with

targets as (
    select * from {{ ref('int_delivery_targets') }}
),

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
),

pull_request_files as (
    select * from {{ ref('stg_delivery__pull_request_files') }}
),

commits as (
    select * from {{ ref('stg_delivery__commits') }}
),

merged as (
    select * from pull_requests
    where
        merged_at is not null
        and vanished_at is null
        and {{ is_recomputed() }}
),

-- The files of changes that have to be known; null until they are loaded.
files as (
    select
        merged.pull_request_id,
        merged.repository_id,
        pull_request_files.paths,
        pull_request_files.is_complete
    from merged
    left join pull_request_files
        on merged.pull_request_id = pull_request_files.pull_request_id
    where
        merged.repository_id in (
            select targets.repository_id
            from targets
            where targets.path_patterns is not null
        )
),

claimed as (
    select
        targets.target_id,
        merged.pull_request_id
    from targets
    inner join merged on targets.repository_id = merged.repository_id
    cross join lateral jsonb_array_elements_text(targets.labels) as wanted (label)
    inner join lateral jsonb_array_elements_text(merged.labels) as labels (label)
        on {{ lower_ascii('wanted.label') }} = {{ lower_ascii('labels.label') }}
    union
    select
        targets.target_id,
        files.pull_request_id
    from targets
    inner join files on targets.repository_id = files.repository_id
    cross join
        lateral jsonb_array_elements_text(targets.path_patterns) as wanted (pattern)
    inner join lateral jsonb_array_elements_text(files.paths) as changed (path)
        on {{ matches('changed.path', 'wanted.pattern') }}
),

claimed_once as (
    select pull_request_id
    from claimed
    group by pull_request_id
),

listed as (
    select
        targets.target_id,
        merged.pull_request_id,
        merged.repository_id,
        merged.merge_commit_sha,
        merged.head_sha,
        merged.merged_at,
        -- An excluded pull request is deployed as well, but does not count.
        merged.excluded_by is null as is_counted,
        commits.commit_sha is not null as is_known,
        commits.landed,
        commits.line,
        commits.line_position
    from targets
    inner join merged on targets.repository_id = merged.repository_id
    left join claimed
        on targets.target_id = claimed.target_id
        and merged.pull_request_id = claimed.pull_request_id
    left join claimed_once
        on merged.pull_request_id = claimed_once.pull_request_id
    left join files on merged.pull_request_id = files.pull_request_id
    left join commits
        on merged.repository_id = commits.repository_id
        and merged.merge_commit_sha = commits.commit_sha
    -- A target without a filter has every change. A change that no filter claims
    -- belongs to every target, and so does one with more files than GitHub lists.
    where
        coalesce(targets.labels, targets.path_patterns) is null
        or claimed.pull_request_id is not null
        or not files.is_complete
        or (
            claimed_once.pull_request_id is null
            and (files.pull_request_id is null or files.is_complete)
        )
)

select * from listed
