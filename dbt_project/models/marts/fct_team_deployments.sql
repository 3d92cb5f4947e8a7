{{ config(indexes=[{'columns': ['team_id']}]) }}

select
    team_id,
    deployment_id,
    share
from {{ ref('int_deployment_shares') }}
