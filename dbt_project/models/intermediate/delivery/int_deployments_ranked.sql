{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_due_repositories() }}",
        indexes=[
            {'columns': ['target_id', 'sequence'], 'unique': true},
            {'columns': ['target_id', 'deployed_at']},
        ],
        meta={'recomputed_if': 'has_new_rules'},
    )
}}

with recursive

numbered as not materialized (
    select numbered.*
    from {{ ref('int_deployments_numbered') }} as numbered
    inner join {{ ref('int_deliveries_compared') }} as compared
        on numbered.repository_id = compared.repository_id
    where compared.is_due
),

-- Recursive, because an overtaken deployment does not run: the next one is compared
-- with the deployment that still runs.
ranked as (
    select
        target_id,
        sequence,
        'first' as kind,
        null::bigint as ran_before,
        sequence as runs,
        is_known as has_known
    from numbered
    where sequence = 1
    union all
    select
        numbered.target_id,
        numbered.sequence,
        judged.kind,
        ranked.runs as ran_before,
        case when judged.kind = 'overtaken' then ranked.runs else numbered.sequence end
            as runs,
        ranked.has_known or numbered.is_known as has_known
    from ranked
    inner join numbered
        on ranked.target_id = numbered.target_id
        and ranked.sequence + 1 = numbered.sequence
    inner join {{ ref('int_deployments_numbered') }} as running
        on ranked.target_id = running.target_id
        and ranked.runs = running.sequence
    cross join
        lateral (
            values (
                case
                    when not (numbered.is_known and ranked.has_known) then 'first'
                    when numbered.commit_sha = running.commit_sha then 'redeploy'
                    when not {{ contains('running', 'numbered') }} then 'deploy'
                    when numbered.requested_at < running.deployed_at then 'overtaken'
                    else 'rollback'
                end
            )
        ) as judged (kind)
)

select
    numbered.target_id,
    numbered.sequence,
    numbered.source_id,
    numbered.deployment_id,
    numbered.repository_id,
    numbered.repository,
    numbered.target,
    numbered.source,
    numbered.is_proxy,
    numbered.is_approximate,
    numbered.environment,
    numbered.url,
    numbered.commit_sha,
    numbered.requested_at,
    numbered.deployed_at,
    numbered.failed_at,
    numbered.succeeded_again_at,
    numbered.is_known,
    numbered.landed,
    numbered.fork,
    numbered.line,
    numbered.line_position,
    numbered.reach,
    ranked.kind,
    ranked.ran_before
from ranked
inner join numbered
    on ranked.target_id = numbered.target_id
    and ranked.sequence = numbered.sequence
