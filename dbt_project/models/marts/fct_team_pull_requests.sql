{{
    config(
        indexes=[
            {'columns': ['team_id', 'merged_at']},
            {'columns': ['team_id', 'month', 'week']},
        ],
        meta={'changed_by': 'pull_request_id'},
    )
}}

select
    team_id,
    pull_request_id,
    weight,
    attributed_at,
    merged_at,
    week,
    month
from {{ ref('int_pull_requests_attributed') }}
where is_current and not is_group
