-- No CTE, for the reason that stg_github__pull_requests gives.
select
    id as release_id,
    repository_id,
    tag,
    url,
    commit_sha,
    is_draft,
    is_prerelease,
    published_at
from {{ source('delivery', 'releases') }}
