select
    incident_id,
    source,
    title,
    url,
    severity,
    repository,
    target,
    started_at,
    resolved_at,
    ended_at,
    fixed_by_pull_request_id,
    deployment_id,
    link,
    not_linked_reason
from {{ ref('int_incidents_linked') }}
