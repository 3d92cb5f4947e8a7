{{
    config(
        indexes=[{'columns': ['pull_request_id']}],
        meta={'changed_by': 'pull_request_id'},
    )
}}

select
    changes.deployment_id,
    changes.pull_request_id,
    changes.is_added
from {{ ref('int_deployment_changes') }} as changes
inner join {{ ref('int_pull_requests_tracked') }} as tracked
    on changes.pull_request_id = tracked.pull_request_id
where changes.is_current
