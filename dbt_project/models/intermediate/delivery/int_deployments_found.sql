-- The successful deployments of each target from any source, for the repositories whose
-- deliveries are recomputed.
with

targets as (
    select targets.*
    from {{ ref('int_delivery_targets') }} as targets
    inner join {{ ref('int_deliveries_compared') }} as compared
        on targets.repository_id = compared.repository_id
    where compared.is_due
),

deployments as (
    select * from {{ ref('stg_delivery__deployments') }}
    where repository_id in (select targets.repository_id from targets)
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

commits as (
    select * from {{ ref('stg_delivery__commits') }}
),

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
),

successes as (
    select distinct on (statuses.deployment_id)
        statuses.deployment_id,
        statuses.url,
        statuses.created_at as succeeded_at
    from statuses
    inner join deployments on statuses.deployment_id = deployments.deployment_id
    where statuses.state = 'success'
    order by
        statuses.deployment_id asc, statuses.created_at asc, statuses.position asc
),

setbacks as (
    select
        successes.deployment_id,
        min(statuses.created_at) as failed_at
    from successes
    inner join statuses
        on successes.deployment_id = statuses.deployment_id
        and successes.succeeded_at < statuses.created_at
    where statuses.state in ('failure', 'error')
    group by successes.deployment_id
),

-- Materialized: otherwise Postgres may compute it again for each deployment.
recoveries as materialized (
    select
        setbacks.deployment_id,
        setbacks.failed_at,
        min(statuses.created_at) as succeeded_again_at
    from setbacks
    left join statuses
        on setbacks.deployment_id = statuses.deployment_id
        and setbacks.failed_at < statuses.created_at
        and statuses.state = 'success'
    group by setbacks.deployment_id, setbacks.failed_at
),

found as (
    select
        targets.target_id,
        deployments.deployment_id as source_id,
        deployments.environment,
        successes.url,
        deployments.commit_sha,
        deployments.created_at as requested_at,
        successes.succeeded_at as deployed_at,
        false as is_approximate,
        recoveries.failed_at,
        recoveries.succeeded_again_at
    from targets
    inner join deployments
        on targets.repository_id = deployments.repository_id
        and deployments.environment ~* targets.environment_pattern
    inner join successes on deployments.deployment_id = successes.deployment_id
    left join recoveries on deployments.deployment_id = recoveries.deployment_id
    where targets.source = 'deployments' and deployments.task = 'deploy'
    union all
    select
        targets.target_id,
        releases.release_id as source_id,
        null as environment,
        releases.url,
        releases.commit_sha,
        releases.published_at as requested_at,
        releases.published_at as deployed_at,
        false as is_approximate,
        null as failed_at,
        null as succeeded_again_at
    from targets
    inner join releases
        on targets.repository_id = releases.repository_id
        and releases.tag ~ targets.tag_pattern
    where
        targets.source = 'releases'
        and not releases.is_draft
        and (targets.takes_prereleases or not releases.is_prerelease)
    union all
    select
        targets.target_id,
        tags.tag_id as source_id,
        null as environment,
        tags.url,
        tags.commit_sha,
        coalesce(tags.tagged_at, commits.committed_at) as requested_at,
        coalesce(tags.tagged_at, commits.committed_at) as deployed_at,
        tags.tagged_at is null as is_approximate,
        null as failed_at,
        null as succeeded_again_at
    from targets
    inner join tags
        on targets.repository_id = tags.repository_id
        and tags.tag ~ targets.tag_pattern
    left join commits
        on tags.repository_id = commits.repository_id
        and tags.commit_sha = commits.commit_sha
    where targets.source = 'tags'
    union all
    select
        targets.target_id,
        workflow_runs.workflow_run_id as source_id,
        null as environment,
        workflow_runs.url,
        workflow_runs.commit_sha,
        workflow_runs.started_at as requested_at,
        workflow_runs.succeeded_at as deployed_at,
        false as is_approximate,
        null as failed_at,
        null as succeeded_again_at
    from targets
    inner join workflow_runs
        on targets.repository_id = workflow_runs.repository_id
        and targets.workflow in (
            workflow_runs.workflow,
            workflow_runs.workflow_path,
            split_part(workflow_runs.workflow_path, '/', -1)
        )
        and coalesce(targets.branch, targets.default_branch)
        = workflow_runs.branch
    where targets.source = 'workflow'
    union all
    select
        targets.target_id,
        pull_requests.pull_request_id as source_id,
        null as environment,
        pull_requests.url,
        pull_requests.merge_commit_sha as commit_sha,
        pull_requests.merged_at as requested_at,
        pull_requests.merged_at as deployed_at,
        false as is_approximate,
        null as failed_at,
        null as succeeded_again_at
    from targets
    inner join pull_requests
        on targets.repository_id = pull_requests.repository_id
        and targets.default_branch = pull_requests.base_ref
    where
        targets.source = 'merges'
        and pull_requests.merge_commit_sha is not null
        and pull_requests.vanished_at is null
)

select * from found
where deployed_at is not null
