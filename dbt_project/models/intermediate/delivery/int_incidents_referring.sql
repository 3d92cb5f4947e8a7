-- The merged pull requests that an incident names as its cause and its fix: by `12`,
-- `#12`, `owner/name#12` or an address; a fix also by a commit of at least seven
-- digits.
{{ config(materialized='table') }}

with

incidents as (
    select * from {{ ref('stg_delivery__incidents') }}
),

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
    where merged_at is not null and vanished_at is null
),

said as (
    select
        incident_id,
        repository,
        'cause' as role,
        btrim(named_pull_request) as name
    from incidents
    where named_pull_request is not null
    union all
    select
        incident_id,
        repository,
        'fix' as role,
        btrim(fixed_by) as name
    from incidents
    where fixed_by is not null
),

parsed as (
    select
        incident_id,
        role,
        name,
        {{ lower_ascii('name') }} ~ '^[0-9a-f]{7,40}$' as is_commit,
        coalesce(
            substring(
                name from '^(?:https?://[^/]+/)?([\w.-]+/[\w.-]+)(?:#|/pull/)[0-9]+$'
            ),
            case when name ~ '^#?[0-9]+$' then repository end
        ) as repository,
        substring(name from '(?:^|#|/pull/)([0-9]{1,9})$')::bigint as number
    from said
),

named as (
    select
        parsed.incident_id,
        parsed.role,
        pull_requests.pull_request_id
    from parsed
    inner join repositories
        on {{ lower_ascii('parsed.repository') }}
        = {{ lower_ascii('repositories.repository_name') }}
    inner join pull_requests
        on repositories.repository_id = pull_requests.repository_id
        and parsed.number = pull_requests.number
    where not parsed.is_commit
    union all
    select
        parsed.incident_id,
        parsed.role,
        pull_requests.pull_request_id
    from parsed
    inner join pull_requests
        on left({{ lower_ascii('parsed.name') }}, 7)
        = left(pull_requests.merge_commit_sha, 7)
        and starts_with(
            pull_requests.merge_commit_sha, {{ lower_ascii('parsed.name') }}
        )
    where parsed.is_commit and parsed.role = 'fix'
    union all
    select
        parsed.incident_id,
        parsed.role,
        pull_requests.pull_request_id
    from parsed
    inner join pull_requests on parsed.name = pull_requests.pull_request_id
    union all
    select
        parsed.incident_id,
        parsed.role,
        pull_requests.pull_request_id
    from parsed
    inner join pull_requests on parsed.name = pull_requests.url
),

referring as (
    select
        incident_id,
        role,
        min(pull_request_id) as pull_request_id
    from named
    group by incident_id, role
)

select * from referring
