{{
    config(
        materialized='table',
        indexes=[
            {'columns': ['target_id', 'sequence'], 'unique': true},
            {'columns': ['deployment_id'], 'unique': true},
        ],
    )
}}
{%- set counted_causes = "'" ~ var("failure_causes") | join("', '") ~ "'" %}
{%- set window = "interval '" ~ failure_window_days() ~ " days'" %}

with

deployments as (
    select * from {{ ref('int_deployments_ranked') }}
),

added as (
    select * from {{ ref('int_changes_added') }}
),

described as (
    select * from {{ ref('int_changes_described') }}
),

incidents as (
    select * from {{ ref('int_incidents_linked') }}
    where deployment_id is not null
),

remedies as (
    select * from {{ ref('int_deployments_remedied') }}
),

fixes as (
    select fixed_by_pull_request_id as pull_request_id
    from incidents
    where fixed_by_pull_request_id is not null
    group by fixed_by_pull_request_id
),

additions as (
    select
        added.target_id,
        added.sequence,
        count(*) as changes_added,
        bool_and(
            added.is_again
            or coalesce(described.is_revert, false)
            or coalesce(described.is_hotfix, false)
            or fixes.pull_request_id is not null
        ) as is_rework
    from added
    left join described on added.pull_request_id = described.pull_request_id
    left join fixes on added.pull_request_id = fixes.pull_request_id
    where not added.is_from_before and added.is_counted
    group by added.target_id, added.sequence
),

withdrawals as (
    select
        target_id,
        withdrawn_sequence as sequence,
        count(*) as changes_withdrawn
    from added
    where withdrawn_sequence is not null and is_counted
    group by target_id, withdrawn_sequence
),

-- A failed status counts only within the window; the next effective deployment remedies
-- it.
set_back as (
    select *
    from deployments
    where
        failed_at < deployed_at + {{ window }}
        and 'status' in ({{ counted_causes }})
),

causes as (
    select
        incidents.target_id,
        incidents.sequence,
        'incident' as cause
    from incidents
    union
    select
        remedies.target_id,
        remedies.sequence,
        remedies.cause
    from remedies
    inner join deployments
        on remedies.target_id = deployments.target_id
        and remedies.sequence = deployments.sequence
    where
        remedies.cause <> 'incident'
        and remedies.remedied_at < deployments.deployed_at + {{ window }}
    union
    select
        target_id,
        sequence,
        'status' as cause
    from set_back
),

failed as (
    select
        causes.target_id,
        causes.sequence,
        array_agg(
            causes.cause
            order by array_position(
                array['incident', 'rollback', 'revert', 'hotfix', 'status'],
                causes.cause
            )
        ) as failure_causes
    from causes
    inner join deployments
        on causes.target_id = deployments.target_id
        and causes.sequence = deployments.sequence
    where
        deployments.kind = 'deploy'
        and causes.cause in ({{ counted_causes }})
    group by causes.target_id, causes.sequence
),

recoveries as (
    select
        target_id,
        sequence,
        remedied_at as recovered_at
    from remedies
    union all
    select
        target_id,
        sequence,
        case when bool_and(ended_at is not null) then max(ended_at) end as recovered_at
    from incidents
    group by target_id, sequence
    union all
    select
        target_id,
        sequence,
        succeeded_again_at as recovered_at
    from set_back
    union all
    select
        set_back.target_id,
        set_back.sequence,
        later.deployed_at as recovered_at
    from set_back
    inner join deployments as later
        on set_back.target_id = later.target_id
        and set_back.sequence < later.sequence
        and set_back.failed_at < later.deployed_at
        and later.kind <> 'overtaken'
),

recovered as (
    select
        recoveries.target_id,
        recoveries.sequence,
        min(recoveries.recovered_at) as recovered_at
    from recoveries
    inner join deployments
        on recoveries.target_id = deployments.target_id
        and recoveries.sequence = deployments.sequence
        and recoveries.recovered_at > deployments.deployed_at
    group by recoveries.target_id, recoveries.sequence
),

judged as (
    select
        deployments.target_id,
        deployments.sequence,
        deployments.deployment_id,
        deployments.target,
        deployments.repository,
        deployments.source,
        deployments.is_proxy,
        deployments.is_approximate,
        deployments.environment,
        deployments.url,
        deployments.commit_sha,
        deployments.requested_at,
        deployments.deployed_at,
        deployments.kind,
        coalesce(additions.changes_added, 0) as changes_added,
        coalesce(withdrawals.changes_withdrawn, 0) as changes_withdrawn,
        failed.sequence is not null as is_failed,
        coalesce(failed.failure_causes, '{}') as failure_causes,
        case when failed.sequence is not null then recovered.recovered_at end
            as recovered_at,
        deployments.kind = 'rollback' or coalesce(additions.is_rework, false)
            as is_rework
    from deployments
    left join additions
        on deployments.target_id = additions.target_id
        and deployments.sequence = additions.sequence
    left join withdrawals
        on deployments.target_id = withdrawals.target_id
        and deployments.sequence = withdrawals.sequence
    left join failed
        on deployments.target_id = failed.target_id
        and deployments.sequence = failed.sequence
    left join recovered
        on deployments.target_id = recovered.target_id
        and deployments.sequence = recovered.sequence
)

select
    *,
    {{ hours('(recovered_at - deployed_at)') }} as recovery_hours
from judged
