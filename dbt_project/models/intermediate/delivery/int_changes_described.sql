-- What a merged pull request says of others: what it reverts, and whether it is a
-- hotfix.
with

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
),

merged as (
    select
        pull_request_id,
        repository_id,
        number,
        title,
        merged_at,
        merge_commit_sha,
        head_sha,
        reverts,
        reverts is not null
        or title ~* '^(revert|reapply) "'
        or coalesce(head_ref, '') ~ '^revert-[0-9]+-' as says_revert,
        title ~* '^(revert "(revert|reapply) "|reapply ")'
        or coalesce(head_ref, '') ~ '^revert-[0-9]+-revert-[0-9]+-'
            as says_revert_of_revert,
        substring(title from '(?i)^revert "(.*)"') as reverted_title,
        coalesce(head_ref, '') ~* '^hotfix[/-]'
        or coalesce(
            labels @? '$[*] ? (@ like_regex "^hotfix$" flag "i")', false
        ) as is_hotfix
    from pull_requests
    where merged_at is not null and vanished_at is null
),

named as (
    select
        merged.pull_request_id,
        other.pull_request_id as reverted_id
    from merged
    cross join
        lateral regexp_split_to_table(merged.reverts, '\s+') as listed (name)
    inner join merged as other
        on merged.repository_id = other.repository_id
        and merged.pull_request_id <> other.pull_request_id
        and (
            listed.name = concat('#', other.number)
            or (
                listed.name ~ '^[0-9a-f]{7,40}$'
                and starts_with(other.merge_commit_sha, listed.name)
            )
        )
),

titled as (
    select
        merged.pull_request_id,
        other.pull_request_id as reverted_id
    from merged
    cross join
        lateral (
            select candidates.pull_request_id
            from merged as candidates
            where
                candidates.repository_id = merged.repository_id
                and candidates.pull_request_id <> merged.pull_request_id
                and (
                    concat('(#', candidates.number, ')')
                    = substring(merged.reverted_title from '\(#[0-9]+\)$')
                    or (
                        candidates.title = merged.reverted_title
                        and (candidates.merged_at, candidates.number)
                        < (merged.merged_at, merged.number)
                    )
                )
            -- A number says more than a title.
            order by
                candidates.title = merged.reverted_title asc,
                candidates.merged_at desc,
                candidates.number desc
            limit 1
        ) as other
    where
        merged.reverted_title is not null
        and merged.pull_request_id not in (select named.pull_request_id from named)
),

reverted as (
    select * from named
    union
    select * from titled
),

described as (
    select
        merged.pull_request_id,
        array_agg(other.pull_request_id order by other.pull_request_id) filter (
            where not other.says_revert
        ) as reverted_ids,
        merged.says_revert
        and not merged.says_revert_of_revert
        and not coalesce(bool_and(other.says_revert), false) as is_revert,
        merged.is_hotfix
    from merged
    left join reverted on merged.pull_request_id = reverted.pull_request_id
    left join merged as other on reverted.reverted_id = other.pull_request_id
    group by
        merged.pull_request_id,
        merged.says_revert,
        merged.says_revert_of_revert,
        merged.is_hotfix
)

select * from described
