-- The deployment that each rollback remedied: the first `deploy`, after the deployment
-- that was rolled back to, whose commit the rollback removed. No row if there is none.
{{ config(materialized='table') }}

with

-- Not materialized: each use reads the index.
deployments as not materialized (
    select * from {{ ref('int_deployments_ranked') }}
),

blamed as (
    select
        rollbacks.target_id,
        rollbacks.sequence as rollback_sequence,
        rollbacks.deployed_at as rolled_back_at,
        min(deploys.sequence) as sequence
    from deployments as rollbacks
    inner join deployments as former
        on rollbacks.target_id = former.target_id
        and rollbacks.ran_before = former.sequence
    cross join
        lateral (
            select max(kept.sequence) as sequence
            from deployments as kept
            where
                kept.target_id = rollbacks.target_id
                and kept.sequence < rollbacks.sequence
                and kept.kind <> 'overtaken'
                and {{ contains('rollbacks', 'kept') }}
        ) as rolled_back_to
    inner join deployments as deploys
        on rollbacks.target_id = deploys.target_id
        and deploys.kind = 'deploy'
        and rollbacks.sequence > deploys.sequence
        and deploys.sequence > coalesce(rolled_back_to.sequence, 0)
    where
        rollbacks.kind = 'rollback'
        and {{ contains('former', 'deploys') }}
        and not {{ contains('rollbacks', 'deploys') }}
    group by rollbacks.target_id, rollbacks.sequence, rollbacks.deployed_at
)

select * from blamed
