-- No CTE, for the reason that stg_github__pull_requests gives.
select
    id as deployment_id,
    repository_id,
    coalesce(environment, original_environment) as environment,
    task,
    commit_sha,
    created_at
from {{ source('delivery', 'deployments') }}
