{{
    config(
        indexes=[{'columns': ['group_id']}],
        meta={'changed_by': 'deployment_id'},
    )
}}

select
    team_id as group_id,
    deployment_id,
    share
from {{ ref('int_deployment_shares') }}
where is_group
