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

changes as (
    select * from {{ ref('int_deployment_changes') }}
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current
),

shares as (
    select
        attributions.team_id,
        deployments.deployment_id,
        sum(attributions.weight)::double precision
        -- Of all of them, whoever they are of; a deployment either adds or withdraws.
        / (deployments.changes_added + deployments.changes_withdrawn) as share
    from deployments
    inner join changes on deployments.deployment_id = changes.deployment_id
    inner join attributions
        on changes.pull_request_id = attributions.pull_request_id
    group by
        attributions.team_id,
        deployments.deployment_id,
        deployments.changes_added,
        deployments.changes_withdrawn
)

select * from shares
