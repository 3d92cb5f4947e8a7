-- One row: the instant up to which all delivery data is loaded.
{{ config(materialized='table') }}

with

repositories as (
    select
        repository_id,
        is_configured and is_reachable as is_loaded
    from {{ ref('stg_github__repositories') }}
),

targets as (
    select * from {{ ref('int_delivery_targets') }}
),

coverage as (
    select * from {{ ref('stg_delivery__coverage') }}
),

needed as (
    select
        targets.repository_id,
        kinds.kind
    from targets
    inner join repositories on targets.repository_id = repositories.repository_id
    cross join
        lateral (
            values
            ('commits'),
            (case targets.source
                when 'workflow' then 'workflow_runs'
                when 'merges' then 'commits'
                else targets.source
            end)
        ) as kinds (kind)
    where repositories.is_loaded
    group by targets.repository_id, kinds.kind

    union all

    select
        targets.repository_id,
        'pull_request_files' as kind
    from targets
    inner join repositories on targets.repository_id = repositories.repository_id
    where repositories.is_loaded and targets.path_patterns is not null
    group by targets.repository_id

    union all

    -- Repositories with incidents need not have measured deployments.
    select
        coverage.repository_id,
        coverage.kind
    from coverage
    left join repositories on coverage.repository_id = repositories.repository_id
    where coverage.kind = 'incidents' and repositories.is_loaded is not false
),

covered as (
    select min(coalesce(coverage.covered_to, '-infinity')) as as_of
    from needed
    left join coverage
        on needed.repository_id = coverage.repository_id
        and needed.kind = coverage.kind
    -- Data without read permission is not measured and does not delay as_of.
    where coverage.is_readable is not false
)

select * from covered
