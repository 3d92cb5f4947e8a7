{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_due_repositories() }}",
        indexes=[{'columns': ['target_id', 'sequence'], 'unique': true}],
        meta={'recomputed_if': 'has_new_rules'},
    )
}}

with

found as (
    select * from {{ ref('int_deployments_found') }}
),

targets as (
    select * from {{ ref('int_delivery_targets') }}
),

commits as (
    select * from {{ ref('stg_delivery__commits') }}
),

numbered as (
    select
        found.target_id,
        row_number() over (
            partition by found.target_id
            order by found.deployed_at, found.requested_at, found.source_id
        ) as sequence,
        found.source_id,
        -- A deployment may belong to several targets of its repository.
        case
            when targets.is_named
                then concat_ws(' ', found.source_id, targets.target)
            else found.source_id
        end as deployment_id,
        targets.repository_id,
        targets.repository,
        targets.target,
        targets.source,
        targets.is_proxy,
        found.is_approximate,
        found.environment,
        found.url,
        found.commit_sha,
        found.requested_at,
        found.deployed_at,
        found.failed_at,
        found.succeeded_again_at,
        commits.commit_sha is not null as is_known,
        commits.landed,
        commits.fork,
        commits.line,
        commits.line_position,
        commits.reach
    from found
    inner join targets on found.target_id = targets.target_id
    left join commits
        on targets.repository_id = commits.repository_id
        and found.commit_sha = commits.commit_sha
)

select * from numbered
