-- No CTE, for the reason that stg_github__pull_requests gives.
select
    repository_id,
    kind,
    covered_to,
    unreadable_since is null as is_readable
from {{ source('delivery', 'delivery_coverage') }}
