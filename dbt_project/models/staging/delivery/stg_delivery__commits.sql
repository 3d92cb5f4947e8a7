-- No CTE, for the reason that stg_github__pull_requests gives.
select
    repository_id,
    sha as commit_sha,
    committed_at,
    landed,
    fork,
    line,
    line_position,
    reach
from {{ source('delivery', 'commits') }}
