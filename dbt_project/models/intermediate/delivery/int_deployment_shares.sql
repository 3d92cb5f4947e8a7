-- Which share of a deployment is a team's: by what it adds, or, of a rollback,
-- withdraws.
{{
    config(
        materialized='table',
        post_hook='analyze {{ this }}',
        indexes=[{'columns': ['deployment_id', 'team_id'], 'unique': true}],
    )
}}

with

deployments as (
    select * from {{ ref('int_deployments_judged') }}
),

added as (
    select * from {{ ref('int_changes_added') }}
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current
),

moved as (
    select
        target_id,
        sequence,
        pull_request_id
    from added
    where not is_from_before and is_counted
    union all
    select
        target_id,
        withdrawn_sequence as sequence,
        pull_request_id
    from added
    where withdrawn_sequence is not null and is_counted
),

shares as (
    select
        attributions.team_id,
        deployments.deployment_id,
        sum(attributions.weight)::double precision
        -- Of all of them, whoever they are of; a deployment either adds or withdraws.
        / (deployments.changes_added + deployments.changes_withdrawn) as share
    from deployments
    inner join moved
        on deployments.target_id = moved.target_id
        and deployments.sequence = moved.sequence
    inner join attributions on moved.pull_request_id = attributions.pull_request_id
    group by
        attributions.team_id,
        deployments.deployment_id,
        deployments.changes_added,
        deployments.changes_withdrawn
)

select * from shares
