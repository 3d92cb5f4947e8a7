{{
    config(
        indexes=[{'columns': ['team_id']}],
        meta={'changed_by': 'deployment_id'},
    )
}}

select
    team_id,
    deployment_id,
    share
from {{ ref('int_deployment_shares') }}
where not is_group
