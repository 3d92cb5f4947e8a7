-- Which deployment of a target added a change, and which rollback withdrew it: one row
-- per occasion. Changes in the first deployment were live before it.
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook=["{{ set_work_mem() }}", "{{ delete_due_rows() }}"],
        indexes=[
            {'columns': ['target_id', 'sequence']},
            {'columns': ['pull_request_id']},
        ],
        meta={'recomputed_if': 'has_new_rules'},
    )
}}

with recursive

deployments as (
    select * from {{ ref('int_deployments_ranked') }}
),

changes as (
    select * from {{ ref('int_changes_listed') }}
    where {{ is_recomputed() }}
),

-- The last position of each line of the graph that a deployment contains; the default
-- branch is ''.
deployed_lines as (
    select
        target_id,
        sequence,
        kind,
        '' as line,
        fork as line_position
    from deployments
    where fork is not null
    union all
    select
        target_id,
        sequence,
        kind,
        line,
        line_position
    from deployments
    where line is not null
    union all
    select
        deployments.target_id,
        deployments.sequence,
        deployments.kind,
        reached.line,
        reached.line_position::bigint as line_position
    from deployments
    cross join
        lateral jsonb_each_text(deployments.reach) as reached (line, line_position)
),

-- The first position of each line that contains a change.
change_lines as (
    select
        target_id,
        pull_request_id,
        '' as line,
        landed as line_position
    from changes
    where landed is not null
    union all
    select
        target_id,
        pull_request_id,
        line,
        line_position
    from changes
    where line is not null
),

points as (
    select
        target_id,
        line,
        line_position,
        sequence,
        null as pull_request_id
    from deployed_lines
    where kind in ('first', 'deploy')
    union all
    select
        target_id,
        line,
        line_position,
        null as sequence,
        pull_request_id
    from change_lines
),

-- The earliest deployment that reaches the position, in one pass from the line's end.
reached as (
    select
        target_id,
        pull_request_id,
        min(sequence) over (
            partition by target_id, line
            order by line_position desc, pull_request_id asc nulls first
            rows unbounded preceding
        ) as sequence
    from points
    union all
    -- Changes deployed from their branch, before they were merged.
    select
        changes.target_id,
        changes.pull_request_id,
        deployments.sequence
    from changes
    inner join deployments
        on changes.target_id = deployments.target_id
        and changes.head_sha = deployments.commit_sha
    where deployments.kind in ('first', 'deploy') and deployments.is_known
),

begun as (
    select
        target_id,
        pull_request_id,
        min(sequence) as sequence
    from reached
    where pull_request_id is not null and sequence is not null
    group by target_id, pull_request_id
),

rolled_back as (
    select
        rollbacks.*,
        former.commit_sha as former_commit_sha,
        former_lines.line as former_line,
        former_lines.line_position as former_position,
        coalesce(kept_lines.line_position, -1) as kept_position
    from deployments as rollbacks
    inner join deployments as former
        on rollbacks.target_id = former.target_id
        and rollbacks.ran_before = former.sequence
    left join deployed_lines as former_lines
        on former.target_id = former_lines.target_id
        and former.sequence = former_lines.sequence
    left join deployed_lines as kept_lines
        on rollbacks.target_id = kept_lines.target_id
        and rollbacks.sequence = kept_lines.sequence
        and former_lines.line = kept_lines.line
    where rollbacks.kind = 'rollback'
),

gone_past as (
    select
        rolled_back.target_id,
        rolled_back.sequence,
        change_lines.pull_request_id
    from rolled_back
    inner join change_lines
        on rolled_back.target_id = change_lines.target_id
        and rolled_back.former_line = change_lines.line
        and rolled_back.former_position >= change_lines.line_position
        and rolled_back.kept_position < change_lines.line_position
    union
    select
        rolled_back.target_id,
        rolled_back.sequence,
        changes.pull_request_id
    from rolled_back
    inner join changes
        on rolled_back.target_id = changes.target_id
        and rolled_back.former_commit_sha = changes.head_sha
),

-- The changes that a rollback would withdraw if they were live.
withdrawable as (
    select
        gone_past.target_id,
        gone_past.sequence,
        gone_past.pull_request_id
    from gone_past
    inner join deployments
        on gone_past.target_id = deployments.target_id
        and gone_past.sequence = deployments.sequence
    inner join changes
        on gone_past.target_id = changes.target_id
        and gone_past.pull_request_id = changes.pull_request_id
    where
        not {{ contains('deployments', 'changes') }}
        and changes.head_sha is distinct from deployments.commit_sha
),

ever_withdrawn as (
    select
        target_id,
        pull_request_id,
        min(sequence) as sequence
    from withdrawable
    group by target_id, pull_request_id
),

-- The later deployments that may add a withdrawn change again.
containing as (
    select
        changes.target_id,
        changes.pull_request_id,
        deployments.sequence
    from ever_withdrawn
    inner join changes
        on ever_withdrawn.target_id = changes.target_id
        and ever_withdrawn.pull_request_id = changes.pull_request_id
    inner join deployments
        on ever_withdrawn.target_id = deployments.target_id
        and ever_withdrawn.sequence < deployments.sequence
    where
        deployments.kind = 'deploy'
        and (
            {{ contains('deployments', 'changes') }}
            or changes.head_sha = deployments.commit_sha
        )
),

added as (
    select
        begun.target_id,
        begun.pull_request_id,
        case when deployments.kind = 'first' then 0 else 1 end as occurrence,
        false as is_again,
        begun.sequence,
        (
            select min(withdrawable.sequence)
            from withdrawable
            where
                withdrawable.target_id = begun.target_id
                and withdrawable.pull_request_id = begun.pull_request_id
                and withdrawable.sequence > begun.sequence
        ) as withdrawn_sequence
    from begun
    inner join deployments
        on begun.target_id = deployments.target_id
        and begun.sequence = deployments.sequence
    union all
    select
        again.target_id,
        again.pull_request_id,
        again.occurrence,
        true as is_again,
        again.sequence,
        (
            select min(withdrawable.sequence)
            from withdrawable
            where
                withdrawable.target_id = again.target_id
                and withdrawable.pull_request_id = again.pull_request_id
                and withdrawable.sequence > again.sequence
        ) as withdrawn_sequence
    from (
        select
            added.target_id,
            added.pull_request_id,
            added.occurrence + 1 as occurrence,
            (
                select min(containing.sequence)
                from containing
                where
                    containing.target_id = added.target_id
                    and containing.pull_request_id = added.pull_request_id
                    and containing.sequence > added.withdrawn_sequence
            ) as sequence
        from added
        where added.withdrawn_sequence is not null
    ) as again
    where again.sequence is not null
)

select
    added.target_id,
    added.pull_request_id,
    added.occurrence,
    added.is_again,
    added.sequence,
    deployments.kind = 'first' as is_from_before,
    added.withdrawn_sequence,
    changes.is_counted
from added
inner join deployments
    on added.target_id = deployments.target_id
    and added.sequence = deployments.sequence
inner join changes
    on added.target_id = changes.target_id
    and added.pull_request_id = changes.pull_request_id
