-- Which pull requests a deployment added, or, of a rollback, withdrew.
{{
    config(
        materialized='table',
        post_hook='analyze {{ this }}',
        indexes=[
            {'columns': ['deployment_id', 'pull_request_id'], 'unique': true},
        ],
    )
}}

with

deployments as (
    select * from {{ ref('int_deployments_judged') }}
),

changes as (
    select * from {{ ref('int_changes_added') }}
    where is_counted
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
        moved.is_added
    from moved
    inner join deployments
        on moved.target_id = deployments.target_id
        and moved.sequence = deployments.sequence
)

select * from listed
