select
    pull_request_id,
    status,
    status_since,
    age_hours,
    waiting_hours,
    reviews,
    reviewers
from {{ ref('int_open_pull_requests_described') }}
