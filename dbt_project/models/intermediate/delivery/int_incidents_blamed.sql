-- The deployment that caused an incident: the one with the strongest reference in the
-- incident, else the one that ran on its targets when it began.
{{ config(materialized='table') }}

with

incidents as (
    select * from {{ ref('stg_delivery__incidents') }}
),

targets as (
    select * from {{ ref('int_delivery_targets') }}
),

-- Not materialized: each use reads the index.
deployments as not materialized (
    select * from {{ ref('int_deployments_ranked') }}
),

deploys as not materialized (
    select * from deployments
    where kind = 'deploy'
),

added as (
    select * from {{ ref('int_changes_added') }}
),

rollbacks as (
    select * from {{ ref('int_rollbacks_blamed') }}
),

referring as (
    select * from {{ ref('int_incidents_referring') }}
),

measured as (
    select target_id
    from deployments
    group by target_id
),

-- The targets that an incident concerns: none if it names neither a target nor a
-- repository.
concerned as (
    select
        incidents.incident_id,
        targets.target_id
    from incidents
    inner join targets
        on (
            incidents.repository is null
            or {{ lower_ascii('incidents.repository') }}
            = {{ lower_ascii('targets.repository') }}
        )
        and (
            incidents.target is null
            or {{ lower_ascii('incidents.target') }}
            = {{ lower_ascii('targets.target') }}
        )
    inner join measured on targets.target_id = measured.target_id
    where incidents.repository is not null or incidents.target is not null
),

concerned_once as (
    select incident_id
    from concerned
    group by incident_id
),

-- Only deployments of kind `deploy` can be named.
candidates as (
    select
        incidents.incident_id,
        deploys.target_id,
        deploys.sequence,
        'deployment' as link,
        1 as strength
    from incidents
    inner join deploys on incidents.named_deployment = deploys.deployment_id
    union
    select
        incidents.incident_id,
        deploys.target_id,
        deploys.sequence,
        'deployment' as link,
        1 as strength
    from incidents
    inner join deploys on incidents.named_deployment = deploys.source_id
    union all
    select
        incidents.incident_id,
        deploys.target_id,
        deploys.sequence,
        'commit' as link,
        2 as strength
    from incidents
    inner join deploys
        on left(deploys.commit_sha, 7) = left(incidents.named_commit, 7)
        and starts_with(deploys.commit_sha, incidents.named_commit)
    where incidents.named_commit ~ '^[0-9a-f]{7,40}$'
    union all
    select
        referring.incident_id,
        added.target_id,
        added.sequence,
        'pull_request' as link,
        3 as strength
    from referring
    inner join added
        on referring.pull_request_id = added.pull_request_id
        and added.occurrence = 1
        and not added.is_from_before
    where referring.role = 'cause'
),

-- Of several, prefer those of the incident's targets, then the last one before it
-- began, then the first one after.
named as (
    select distinct on (candidates.incident_id)
        candidates.incident_id,
        candidates.target_id,
        candidates.sequence,
        candidates.link
    from candidates
    inner join incidents on candidates.incident_id = incidents.incident_id
    inner join deploys
        on candidates.target_id = deploys.target_id
        and candidates.sequence = deploys.sequence
    left join concerned
        on candidates.incident_id = concerned.incident_id
        and candidates.target_id = concerned.target_id
    order by
        candidates.incident_id asc,
        candidates.strength asc,
        concerned.target_id is null asc,
        deploys.deployed_at > incidents.started_at asc,
        case
            when deploys.deployed_at <= incidents.started_at then deploys.deployed_at
        end desc,
        case
            when deploys.deployed_at <= incidents.started_at then deploys.requested_at
        end desc,
        case
            when deploys.deployed_at <= incidents.started_at then deploys.source_id
        end desc,
        case
            when deploys.deployed_at <= incidents.started_at then deploys.target
        end desc,
        deploys.deployed_at asc,
        deploys.requested_at asc,
        deploys.source_id asc,
        deploys.target asc
),

last_effective as (
    select
        incidents.incident_id,
        last_one.target_id,
        last_one.sequence
    from incidents
    cross join lateral (
        select
            deployments.target_id,
            deployments.sequence
        from concerned
        inner join deployments
            on concerned.target_id = deployments.target_id
            and incidents.started_at >= deployments.deployed_at
        where
            concerned.incident_id = incidents.incident_id
            and deployments.kind <> 'overtaken'
        order by
            deployments.deployed_at desc,
            deployments.requested_at desc,
            deployments.source_id desc,
            deployments.target desc
        limit 1
    ) as last_one
),

-- If a redeploy ran, the deployment that it repeats; if a rollback ran, the deployment
-- that it remedied.
inferred as (
    select
        last_effective.incident_id,
        last_effective.target_id,
        case
            when running.kind = 'deploy' then running.sequence
            when running.kind = 'rollback' then rollbacks.sequence
        end as sequence
    from last_effective
    cross join
        lateral (
            select
                deployments.sequence,
                deployments.kind
            from deployments
            where
                deployments.target_id = last_effective.target_id
                and deployments.sequence <= last_effective.sequence
                and deployments.kind in ('first', 'deploy', 'rollback')
            order by deployments.sequence desc
            limit 1
        ) as running
    left join rollbacks
        on last_effective.target_id = rollbacks.target_id
        and running.sequence = rollbacks.rollback_sequence
),

found as (
    select
        incidents.incident_id,
        coalesce(named.target_id, inferred.target_id) as target_id,
        coalesce(named.sequence, inferred.sequence) as sequence,
        coalesce(named.link, 'inferred') as link,
        case
            when incidents.caused_by_change is false then 'not_caused_by_a_change'
            when named.incident_id is not null then null
            when incidents.repository is null and incidents.target is null
                then 'no_target'
            when concerned_once.incident_id is null then 'not_measured'
            when inferred.incident_id is null then 'before_first_deployment'
            when inferred.sequence is null then 'no_deployment_to_blame'
            when
                incidents.caused_by_change is not true
                and incidents.started_at
                >= deploys.deployed_at + interval '{{ failure_window_days() }} days'
                then 'outside_window'
        end as not_linked_reason
    from incidents
    left join concerned_once
        on incidents.incident_id = concerned_once.incident_id
    left join named on incidents.incident_id = named.incident_id
    left join inferred on incidents.incident_id = inferred.incident_id
    left join deploys
        on inferred.target_id = deploys.target_id
        and inferred.sequence = deploys.sequence
)

select
    incident_id,
    not_linked_reason,
    case when not_linked_reason is null then target_id end as target_id,
    case when not_linked_reason is null then sequence end as sequence,
    case when not_linked_reason is null then link end as link
from found
