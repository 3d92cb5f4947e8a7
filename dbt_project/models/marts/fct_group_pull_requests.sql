{{
    config(
        indexes=[
            {'columns': ['group_id', 'merged_at']},
            {'columns': ['group_id', 'month', 'week']},
        ],
        meta={'changed_by': 'pull_request_id'},
    )
}}

select
    team_id as group_id,
    pull_request_id,
    weight,
    attributed_at,
    merged_at,
    week,
    month
from {{ ref('int_pull_requests_attributed') }}
where is_current and is_group
