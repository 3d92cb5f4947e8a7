-- No CTE, for the reason that stg_github__pull_requests gives.
select
    pull_request_id,
    repository_id,
    paths,
    is_complete
from {{ source('delivery', 'pull_request_files') }}
