-- A team's or group's share of a deployment, by the changes that it adds or (if a
-- rollback) withdraws.
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook=["{{ set_work_mem() }}", "{{ delete_due_rows('deployment_id') }}"],
        indexes=[{'columns': ['deployment_id', 'team_id'], 'unique': true}],
        meta={'recomputed_if': 'has_new_memberships'},
    )
}}

-- depends_on: {{ ref('int_deliveries_due') }}
with

deployments as (
    select * from {{ ref('int_deployments_judged') }}
    {%- if is_incremental() %}
        where
            deployment_id in (
                {{ due_deployments(
                    ref('int_deployment_changes'), ref('int_deliveries_due')
                ) }}
            )
    {%- endif %}
),

changes as (
    select * from {{ ref('int_deployment_changes') }}
    where is_current
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current
),

shares as (
    select
        attributions.team_id,
        attributions.is_group,
        deployments.deployment_id,
        sum(attributions.weight)::double precision
        -- All changes, by any author; a deployment either adds or withdraws.
        / (deployments.changes_added + deployments.changes_withdrawn) as share
    from deployments
    inner join changes on deployments.deployment_id = changes.deployment_id
    inner join attributions
        on changes.pull_request_id = attributions.pull_request_id
    group by
        attributions.team_id,
        attributions.is_group,
        deployments.deployment_id,
        deployments.changes_added,
        deployments.changes_withdrawn
)

select * from shares
