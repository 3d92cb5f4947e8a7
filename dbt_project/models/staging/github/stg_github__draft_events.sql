-- No CTE, for the reason that stg_github__pull_requests gives.
select
    id as draft_event_id,
    pull_request_id,
    event = 'convert_to_draft' as is_to_draft,
    created_at as switched_at,
    position
from {{ source('github', 'pull_request_draft_events') }}
