with

pull_requests as (
    select * from {{ audited(ref('int_pull_requests_tracked')) }} as audited
)

select
    pull_request_id,
    coding_hours,
    draft_hours,
    pickup_hours,
    review_hours,
    total_hours
from pull_requests
where
    (merged_at is null) <> (total_hours is null)
    or least(coding_hours, draft_hours, pickup_hours, review_hours) < 0
    -- Each phase is rounded to a double once.
    or abs(coding_hours + draft_hours + pickup_hours + review_hours - total_hours)
    > 1e-9 * greatest(total_hours, 1)
    or abs(coding_hours + cycle_time_hours - total_hours)
    > 1e-9 * greatest(total_hours, 1)
