-- For each merged pull request, the deployment that first added it, or the reason why
-- there is none.
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook=["{{ set_work_mem() }}", "{{ delete_due_rows() }}"],
        indexes=[{'columns': ['pull_request_id'], 'unique': true}],
        meta={'recomputed_if': 'has_new_rules'},
    )
}}

with

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
    where
        merged_at is not null
        and vanished_at is null
        and {{ is_recomputed() }}
),

commits as (
    select * from {{ ref('stg_delivery__commits') }}
),

listed as (
    select * from {{ ref('int_changes_listed') }}
    where {{ is_recomputed() }}
),

deployments as (
    select * from {{ ref('int_deployments_ranked') }}
),

added as (
    select * from {{ ref('int_changes_added') }}
    where {{ is_recomputed() }}
),

measured_targets as (
    select target_id
    from deployments
    group by target_id
),

measured as (
    select listed.pull_request_id
    from listed
    inner join measured_targets on listed.target_id = measured_targets.target_id
    group by listed.pull_request_id
),

first_added as (
    select distinct on (added.pull_request_id)
        added.pull_request_id,
        deployments.deployment_id,
        deployments.deployed_at
    from added
    inner join deployments
        on added.target_id = deployments.target_id
        and added.sequence = deployments.sequence
    where not added.is_from_before
    order by
        added.pull_request_id asc,
        deployments.deployed_at asc,
        deployments.requested_at asc,
        deployments.source_id asc,
        deployments.target asc
),

from_before as (
    select pull_request_id
    from added
    where is_from_before
    group by pull_request_id
),

delivered as (
    select
        pull_requests.pull_request_id,
        first_added.deployment_id,
        first_added.deployed_at,
        {{ hours('(first_added.deployed_at - pull_requests.work_started_at)') }}
            as change_lead_time_hours,
        case
            when pull_requests.merged_at < first_added.deployed_at
                then {{ hours('(first_added.deployed_at - pull_requests.merged_at)') }}
            when first_added.deployed_at is not null then 0
        end as deploy_hours,
        -- If it was deployed before its merge, its stages do not add up.
        first_added.deployed_at >= pull_requests.merged_at as has_stages,
        pull_requests.coding_hours,
        pull_requests.draft_hours,
        pull_requests.pickup_hours,
        pull_requests.review_hours,
        case
            when first_added.deployment_id is not null then null
            when measured.pull_request_id is null then 'not_measured'
            when from_before.pull_request_id is not null
                then 'before_first_deployment'
            when pull_requests.merge_commit_sha is null then 'no_merge_commit'
            when commits.commit_sha is null then 'unknown_commit'
            else 'not_deployed'
        end as not_deployed_reason
    from pull_requests
    left join first_added
        on pull_requests.pull_request_id = first_added.pull_request_id
    left join measured on pull_requests.pull_request_id = measured.pull_request_id
    left join from_before
        on pull_requests.pull_request_id = from_before.pull_request_id
    left join commits
        on pull_requests.repository_id = commits.repository_id
        and pull_requests.merge_commit_sha = commits.commit_sha
)

select * from delivered
