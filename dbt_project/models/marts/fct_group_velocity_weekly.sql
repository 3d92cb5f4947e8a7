select
    team_id as group_id,
    week,
    prs_merged,
    weighted_prs_merged,
    avg_cycle_time_hours,
    weighted_avg_cycle_time_hours,
    contributors,
    is_complete
from {{ ref('int_team_weeks_filled') }}
where is_group
