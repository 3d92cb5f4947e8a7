-- No CTE, for the reason that stg_github__pull_requests gives.
select
    id as workflow_run_id,
    repository_id,
    workflow,
    workflow_path,
    branch,
    url,
    commit_sha,
    coalesce(run_started_at, created_at) as started_at,
    succeeded_at
from {{ source('delivery', 'workflow_runs') }}
