with

shares as (
    select * from {{ ref('fct_team_deployments') }}
    where team_id <> 'unassigned'
),

deployments as (
    select * from {{ ref('fct_deployments') }}
),

joined as (
    select
        shares.team_id,
        deployments.deployment_id,
        deployments.target,
        deployments.repository,
        deployments.is_proxy,
        (deployments.deployed_at at time zone '{{ reporting_timezone() }}')::date
            as deployed_on,
        (deployments.recovered_at at time zone '{{ reporting_timezone() }}')::date
            as recovered_on,
        (deployments.kind = 'deploy')::integer as is_deploy,
        (deployments.kind = 'rollback')::integer as is_rollback,
        deployments.is_failed::integer as is_failed,
        deployments.is_rework::integer as is_rework,
        deployments.recovery_hours
    from shares
    inner join deployments on shares.deployment_id = deployments.deployment_id
)

select * from joined
