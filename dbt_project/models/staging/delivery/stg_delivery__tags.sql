-- No CTE, for the reason that stg_github__pull_requests gives.
select
    id as tag_id,
    repository_id,
    tag,
    url,
    commit_sha,
    tagged_at
from {{ source('delivery', 'tags') }}
