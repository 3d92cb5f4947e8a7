-- Incidents with the deployment that caused them and their end.
{{ config(materialized='table') }}

with

incidents as (
    select * from {{ ref('stg_delivery__incidents') }}
),

blamed as (
    select * from {{ ref('int_incidents_blamed') }}
),

referring as (
    select * from {{ ref('int_incidents_referring') }}
    where role = 'fix'
),

targets as (
    select * from {{ ref('int_delivery_targets') }}
),

deployments as (
    select * from {{ ref('int_deployments_ranked') }}
),

changes as (
    select * from {{ ref('int_changes_listed') }}
),

added as (
    select
        target_id,
        pull_request_id,
        min(sequence) filter (where not is_from_before) as sequence
    from {{ ref('int_changes_added') }}
    group by target_id, pull_request_id
),

commits as (
    select * from {{ ref('stg_delivery__commits') }}
),

measured as (
    select target_id
    from deployments
    group by target_id
),

-- The targets to which the pull request that fixed an incident is deployed. If they
-- include the target of the blamed deployment, only that one counts.
fixes as (
    select
        referring.incident_id,
        changes.target_id,
        deployments.deployed_at,
        added.pull_request_id is null and changes.is_known as is_awaited,
        coalesce(changes.target_id = blamed.target_id, false) as is_own,
        bool_or(coalesce(changes.target_id = blamed.target_id, false)) over (
            partition by referring.incident_id
        ) as has_own
    from referring
    inner join changes on referring.pull_request_id = changes.pull_request_id
    inner join measured on changes.target_id = measured.target_id
    inner join blamed on referring.incident_id = blamed.incident_id
    left join added
        on changes.target_id = added.target_id
        and changes.pull_request_id = added.pull_request_id
    left join deployments
        on added.target_id = deployments.target_id
        and added.sequence = deployments.sequence
),

fixed_by_change as (
    select
        incident_id,
        min(deployed_at) as deployed_at,
        bool_or(is_awaited) as is_awaited
    from fixes
    where is_own or not has_own
    group by incident_id
),

-- A commit that belongs to no pull request.
commits_named as (
    select
        incidents.incident_id,
        targets.target_id,
        commits.commit_sha,
        commits.landed,
        commits.line,
        commits.line_position
    from incidents
    inner join blamed on incidents.incident_id = blamed.incident_id
    inner join targets
        on blamed.target_id = targets.target_id
        or (
            blamed.target_id is null
            and (incidents.repository is not null or incidents.target is not null)
            and (
                incidents.repository is null
                or {{ lower_ascii('incidents.repository') }}
                = {{ lower_ascii('targets.repository') }}
            )
            and (
                incidents.target is null
                or {{ lower_ascii('incidents.target') }}
                = {{ lower_ascii('targets.target') }}
            )
        )
    inner join measured on targets.target_id = measured.target_id
    inner join commits
        on targets.repository_id = commits.repository_id
        and starts_with(
            commits.commit_sha, {{ lower_ascii('btrim(incidents.fixed_by)') }}
        )
    where
        {{ lower_ascii('btrim(incidents.fixed_by)') }} ~ '^[0-9a-f]{7,40}$'
        and incidents.incident_id not in (
            select referring.incident_id from referring
        )
),

fixed_by_commit as (
    select distinct on (commits_named.incident_id)
        commits_named.incident_id,
        deployments.deployed_at,
        deployments.kind
    from commits_named
    left join deployments
        on commits_named.target_id = deployments.target_id
        and deployments.kind <> 'overtaken'
        and {{ contains('deployments', 'commits_named') }}
    order by
        commits_named.incident_id asc,
        deployments.deployed_at asc,
        deployments.requested_at asc,
        deployments.source_id asc
),

linked as (
    select
        incidents.incident_id,
        incidents.source,
        incidents.source_id,
        incidents.title,
        incidents.url,
        incidents.severity,
        incidents.repository,
        incidents.target,
        incidents.started_at,
        incidents.resolved_at,
        case
            when fixed_by_change.deployed_at is not null
                then fixed_by_change.deployed_at
            when fixed_by_change.is_awaited then null
            when
                fixed_by_commit.incident_id is not null
                and coalesce(fixed_by_commit.kind, '') <> 'first'
                then fixed_by_commit.deployed_at
            else incidents.resolved_at
        end as ended_at,
        referring.pull_request_id as fixed_by_pull_request_id,
        blamed.not_linked_reason,
        blamed.target_id,
        blamed.sequence,
        deployments.deployment_id,
        blamed.link
    from incidents
    inner join blamed on incidents.incident_id = blamed.incident_id
    left join referring on incidents.incident_id = referring.incident_id
    left join fixed_by_change
        on incidents.incident_id = fixed_by_change.incident_id
    left join fixed_by_commit
        on incidents.incident_id = fixed_by_commit.incident_id
    left join deployments
        on blamed.target_id = deployments.target_id
        and blamed.sequence = deployments.sequence
)

select * from linked
