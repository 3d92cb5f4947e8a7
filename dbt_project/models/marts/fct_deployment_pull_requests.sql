{{ config(indexes=[{'columns': ['pull_request_id']}]) }}

select
    deployment_id,
    pull_request_id,
    is_added
from {{ ref('int_deployment_changes') }}
