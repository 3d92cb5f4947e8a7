{{ config(indexes=[{'columns': ['deployed_at']}]) }}

select
    deployment_id,
    target,
    repository,
    source,
    is_proxy,
    is_approximate,
    environment,
    url,
    commit_sha,
    requested_at,
    deployed_at,
    kind,
    changes_added,
    changes_withdrawn,
    is_failed,
    failure_causes,
    recovered_at,
    recovery_hours,
    is_rework
from {{ ref('int_deployments_judged') }}
