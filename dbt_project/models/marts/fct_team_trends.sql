select
    team_id,
    metric,
    compared_with,
    verdict,
    current_value,
    earlier_value,
    sample_size,
    earlier_sample_size,
    first_week,
    earlier_first_week,
    probability_higher,
    phase,
    phase_hours,
    earlier_phase_hours
from {{ ref('int_team_trends_judged') }}
