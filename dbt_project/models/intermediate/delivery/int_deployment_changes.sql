-- Which pull requests a deployment added or a rollback withdrew.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='pull_request_id',
        pre_hook="{{ set_work_mem() }}",
        indexes=[
            {'columns': ['deployment_id']},
            {'columns': ['pull_request_id']},
        ],
        meta={'recomputed_if': 'has_new_rules'},
    )
}}

with

deployments as (
    select * from {{ ref('int_deployments_ranked') }}
),

changes as (
    select * from {{ ref('int_changes_added') }}
    where
        is_counted
        and {{ is_recomputed() }}
),

moved as (
    select
        target_id,
        sequence,
        pull_request_id,
        true as is_added
    from changes
    where not is_from_before
    union all
    select
        target_id,
        withdrawn_sequence as sequence,
        pull_request_id,
        false as is_added
    from changes
    where withdrawn_sequence is not null
),

listed as (
    select
        deployments.deployment_id,
        moved.pull_request_id,
        moved.is_added,
        true as is_current
    from moved
    inner join deployments
        on moved.target_id = deployments.target_id
        and moved.sequence = deployments.sequence
),

-- The deployments that they belonged to before and no longer do.
former as (
    select
        deployment_id,
        pull_request_id
    from {{ this if is_incremental() else 'listed' }}
    where
        {{ is_incremental() | lower }}
        and {{ is_recomputed() }}
    except
    select
        deployment_id,
        pull_request_id
    from listed
)

select * from listed
union all
select
    deployment_id,
    pull_request_id,
    null as is_added,
    false as is_current
from former
