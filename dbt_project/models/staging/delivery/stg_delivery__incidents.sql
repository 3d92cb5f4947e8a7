with

source as (
    select * from {{ source('delivery', 'incidents') }}
),

renamed as (
    select
        concat_ws(' ', source, id) as incident_id,
        source,
        id as source_id,
        title,
        url,
        severity,
        started_at,
        resolved_at,
        repository,
        target,
        deployment_id as named_deployment,
        {{ lower_ascii('commit_sha') }} as named_commit,
        pull_request as named_pull_request,
        caused_by_change,
        fixed_by
    from source
)

select * from renamed
