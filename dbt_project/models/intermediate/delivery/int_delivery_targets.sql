{{ config(materialized='table') }}

with

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

rules as (
    select * from {{ ref('stg_configuration__deployment_rules') }}
),

matching as (
    select
        repositories.repository_id,
        repositories.repository_name,
        repositories.default_branch,
        rules.*,
        row_number() over (
            partition by repositories.repository_id, rules.target
            order by rules.position desc
        ) as latest
    from repositories
    inner join rules
        on {{ matches('repositories.repository_name', 'rules.repository_pattern') }}
),

targets as (
    select
        concat_ws(' ', repository_id, target) as target_id,
        repository_id,
        repository_name as repository,
        default_branch,
        coalesce(target, repository_name) as target,
        target is not null as is_named,
        source,
        source = 'merges' as is_proxy,
        environment_pattern,
        tag_pattern,
        takes_prereleases,
        workflow,
        branch,
        labels,
        path_patterns
    from matching
    where latest = 1
)

select * from targets
