-- No CTE, for the reason that stg_github__pull_requests gives.
select
    id as deployment_status_id,
    deployment_id,
    {{ lower_ascii('state') }} as state,
    url,
    created_at,
    position
from {{ source('delivery', 'deployment_statuses') }}
