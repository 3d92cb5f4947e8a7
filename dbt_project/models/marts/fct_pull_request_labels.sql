{{
    config(
        indexes=[{'columns': ['label']}],
        meta={'changed_by': 'pull_request_id'},
    )
}}

select
    pull_request_id,
    label
from {{ ref('int_pull_requests_labelled') }}
