-- A table, so that all models that read it see the same rows.
{{
    config(
        materialized='table',
        pre_hook="{{ set_work_mem() }}",
    )
}}

with

pull_requests as (
    select * from {{ ref('stg_github__pull_requests') }}
),

accounts as (
    select * from {{ ref('int_accounts_identified') }}
),

rules as (
    select * from {{ ref('stg_configuration__pull_request_rules') }}
),

scope as (
    select * from {{ ref('int_build_scoped') }}
),

-- With both bounds: without an upper one, the planner would estimate a third of all
-- rows.
dated as (
    select
        *,
        {{ attributed_at(attribution_instant()) }} as attributed_at
    from pull_requests
    where
        change_number > (select scope.changed_after from scope)
        and change_number <= (select scope.last_change_number from scope)
),

changed as (
    select
        dated.pull_request_id,
        dated.repository_id,
        dated.repository_name,
        dated.number,
        dated.title,
        dated.url,
        dated.state,
        dated.is_draft,
        dated.labels,
        dated.author_id,
        dated.author_login,
        dated.author_login_key,
        dated.author_account_id,
        coalesce(accounts.person_id, dated.author_account_id) as author_person_id,
        dated.created_at,
        dated.updated_at,
        dated.closed_at,
        dated.merged_at,
        dated.attributed_at,
        dated.first_commit_at,
        dated.additions,
        dated.deletions,
        dated.changed_files,
        dated.commits,
        dated.base_ref,
        dated.head_ref,
        dated.merge_commit_sha,
        dated.head_sha,
        dated.reverts,
        dated.reverts is not null
        or dated.title ~* '^(revert|reapply) "'
        or coalesce(dated.head_ref, '') ~ '^revert-[0-9]+-' as says_revert,
        coalesce(dated.head_ref, '') ~* '^hotfix[/-]'
        or coalesce(
            dated.labels @? '$[*] ? (@ like_regex "^hotfix$" flag "i")', false
        ) as is_hotfix,
        dated.merged_by_login,
        dated.is_by_bot,
        dated.vanished_at,
        exclusion.reason as excluded_by
    from dated
    left join accounts on dated.author_account_id = accounts.account_id
    -- The first rule whose patterns all match, ignoring case. An unknown branch matches
    -- no pattern.
    left join lateral (
        select rules.reason
        from rules
        where
            (
                rules.base_pattern is null
                or {{ matches("dated.base_ref", "rules.base_pattern") }}
            )
            and (
                rules.head_pattern is null
                or {{ matches("dated.head_ref", "rules.head_pattern") }}
            )
            and (
                rules.title_pattern is null
                or {{ matches("dated.title", "rules.title_pattern") }}
            )
            and (
                rules.label_pattern is null
                or exists (
                    select 1
                    from jsonb_array_elements_text(dated.labels) as labels (label)
                    where {{ matches("labels.label", "rules.label_pattern") }}
                )
            )
        order by rules.position
        limit 1
    ) as exclusion on true
)

select * from changed
