select
    team_id as group_id,
    month,
    prs_merged,
    median_lead_time_hours,
    p95_lead_time_hours,
    weighted_median_lead_time_hours,
    weighted_p95_lead_time_hours,
    median_coding_hours,
    median_draft_hours,
    median_pickup_hours,
    median_review_hours,
    is_complete
from {{ ref('int_team_months_filled') }}
where is_group
