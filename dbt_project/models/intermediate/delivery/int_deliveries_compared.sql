{{
    config(
        materialized='table',
        post_hook="{{ forget_published_deliveries() }}",
    )
}}

with

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

deployments as (
    select * from {{ ref('stg_delivery__deployments') }}
),

statuses as (
    select * from {{ ref('stg_delivery__deployment_statuses') }}
),

releases as (
    select * from {{ ref('stg_delivery__releases') }}
),

tags as (
    select * from {{ ref('stg_delivery__tags') }}
),

workflow_runs as (
    select * from {{ ref('stg_delivery__workflow_runs') }}
),

files as (
    select * from {{ ref('stg_delivery__pull_request_files') }}
),

commits as (
    select * from {{ ref('stg_delivery__commits') }}
),

targets as (
    select * from {{ ref('int_delivery_targets') }}
),

changed as (
    select * from {{ ref('int_pull_requests_changed') }}
),

scope as (
    select * from {{ ref('int_build_scoped') }}
),

published as (
    select * from {{ ref('int_builds_published') }}
),

parts as (
    select
        repository_id,
        count(*) as rows_found,
        bit_xor(hashtextextended(repositories::text, 0)) as rows_hash
    from (
        select
            repository_id,
            repository_name,
            default_branch
        from repositories
    ) as repositories
    group by repository_id
    union all
    select
        repository_id,
        count(*) as rows_found,
        bit_xor(hashtextextended(deployments::text, 0)) as rows_hash
    from deployments
    group by repository_id
    union all
    select
        deployments.repository_id,
        count(*) as rows_found,
        bit_xor(hashtextextended(statuses::text, 0)) as rows_hash
    from statuses
    inner join deployments on statuses.deployment_id = deployments.deployment_id
    group by deployments.repository_id
    union all
    select
        repository_id,
        count(*) as rows_found,
        bit_xor(hashtextextended(releases::text, 0)) as rows_hash
    from releases
    group by repository_id
    union all
    select
        repository_id,
        count(*) as rows_found,
        bit_xor(hashtextextended(tags::text, 0)) as rows_hash
    from tags
    group by repository_id
    union all
    select
        repository_id,
        count(*) as rows_found,
        bit_xor(hashtextextended(workflow_runs::text, 0)) as rows_hash
    from workflow_runs
    group by repository_id
    union all
    select
        repository_id,
        count(*) as rows_found,
        bit_xor(hashtextextended(files::text, 0)) as rows_hash
    from files
    group by repository_id
    union all
    select
        repository_id,
        count(*) as rows_found,
        bit_xor(hashtextextended(commits::text, 0)) as rows_hash
    from commits
    group by repository_id
),

hashed as (
    select
        repository_id,
        string_agg(
            concat_ws(' ', rows_found, rows_hash), ' ' order by rows_found, rows_hash
        ) as deliveries_hash
    from parts
    group by repository_id
),

-- If merges count as deployments, a changed pull request may be a new deployment.
deployed_by_merging as (
    select targets.repository_id
    from targets
    inner join changed on targets.repository_id = changed.repository_id
    where targets.source = 'merges'
    group by targets.repository_id
),

compared as (
    select
        hashed.repository_id,
        hashed.deliveries_hash,
        scope.has_new_rules
        or deployed_by_merging.repository_id is not null
        or coalesce(
            hashed.deliveries_hash
            <> published.delivery_hashes ->> hashed.repository_id,
            true
        ) as is_due
    from hashed
    cross join scope
    left join published on true
    left join deployed_by_merging
        on hashed.repository_id = deployed_by_merging.repository_id
)

select * from compared
