{{ config(materialized='table', pre_hook="{{ set_work_mem() }}") }}

with

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current
),

listed as (
    select * from {{ ref('int_changes_listed') }}
),

first_deployments as (
    select
        target_id,
        deployed_at
    from {{ ref('int_deployments_ranked') }}
    where sequence = 1
),

begun as (
    select
        attributions.team_id,
        min(greatest(attributions.attributed_at, first_deployments.deployed_at))
            as measured_from
    from attributions
    inner join listed on attributions.pull_request_id = listed.pull_request_id
    inner join first_deployments on listed.target_id = first_deployments.target_id
    group by attributions.team_id
)

select * from begun
