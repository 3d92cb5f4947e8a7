-- One row: up to when all is loaded that deliveries are made of.
{{ config(materialized='table') }}

with

repositories as (
    select * from {{ ref('stg_github__repositories') }}
    where is_configured and is_reachable
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
    group by targets.repository_id, kinds.kind
),

covered as (
    select min(coalesce(coverage.covered_to, '-infinity')) as as_of
    from needed
    left join coverage
        on needed.repository_id = coverage.repository_id
        and needed.kind = coverage.kind
    -- What may not be read is not measured, and holds nothing up.
    where coverage.is_readable is not false
)

select * from covered
