-- Later deployments that show that a deployment failed: a rollback, a revert of one of
-- its changes, a hotfix, or a fix that closed an incident.
with

-- Not materialized: each use reads the index.
deployments as not materialized (
    select * from {{ ref('int_deployments_ranked') }}
),

added as (
    select * from {{ ref('int_changes_added') }}
    where not is_from_before
),

described as (
    select * from {{ ref('int_changes_described') }}
),

incidents as (
    select * from {{ ref('int_incidents_linked') }}
),

blamed as (
    select * from {{ ref('int_rollbacks_blamed') }}
),

fixes as (
    select fixed_by_pull_request_id as pull_request_id
    from incidents
    where fixed_by_pull_request_id is not null
    group by fixed_by_pull_request_id
),

reverted as (
    select
        first_added.target_id,
        first_added.sequence,
        'revert' as cause,
        reverting.sequence as remedy_sequence
    from described
    cross join lateral unnest(described.reverted_ids) as reverted (pull_request_id)
    inner join added as first_added
        on reverted.pull_request_id = first_added.pull_request_id
        and first_added.occurrence = 1
    inner join added as reverting
        on described.pull_request_id = reverting.pull_request_id
        and first_added.target_id = reverting.target_id
        and first_added.sequence < reverting.sequence
    -- If a change is added again together with its revert, the revert has no effect.
    left join added as again
        on first_added.target_id = again.target_id
        and first_added.pull_request_id = again.pull_request_id
        and reverting.sequence = again.sequence
    where described.is_revert and again.sequence is null
),

mended as (
    select
        added.target_id,
        last_one.sequence,
        'hotfix' as cause,
        added.sequence as remedy_sequence
    from described
    inner join added
        on described.pull_request_id = added.pull_request_id
        and added.occurrence = 1
    left join fixes on described.pull_request_id = fixes.pull_request_id
    cross join
        lateral (
            select max(deployments.sequence) as sequence
            from deployments
            where
                deployments.target_id = added.target_id
                and deployments.kind = 'deploy'
                and deployments.sequence < added.sequence
        ) as last_one
    where
        described.is_hotfix
        -- If it closes an incident, the incident says which deployment failed.
        and fixes.pull_request_id is null
        and last_one.sequence is not null
),

fixed as (
    select
        incidents.target_id,
        incidents.sequence,
        'incident' as cause,
        added.sequence as remedy_sequence
    from incidents
    inner join added
        on incidents.fixed_by_pull_request_id = added.pull_request_id
        and incidents.target_id = added.target_id
        and incidents.sequence < added.sequence
),

remedied as (
    select
        target_id,
        sequence,
        'rollback' as cause,
        rollback_sequence as remedy_sequence
    from blamed
    union
    select * from reverted
    union
    select * from mended
    union
    select * from fixed
)

select
    remedied.target_id,
    remedied.sequence,
    remedied.cause,
    remedied.remedy_sequence,
    deployments.deployed_at as remedied_at
from remedied
inner join deployments
    on remedied.target_id = deployments.target_id
    and remedied.remedy_sequence = deployments.sequence
