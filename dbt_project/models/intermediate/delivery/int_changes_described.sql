-- Merged pull requests that are reverts or hotfixes, with those that they revert.
{{ config(materialized='table') }}

with

pull_requests as not materialized (
    select * from {{ ref('int_pull_requests_measured') }}
    where merged_at is not null and vanished_at is null
),

speaking as (
    select
        pull_request_id,
        repository_id,
        number,
        merged_at,
        reverts,
        says_revert,
        title ~* '^(revert "(revert|reapply) "|reapply ")'
        or coalesce(head_ref, '') ~ '^revert-[0-9]+-revert-[0-9]+-'
            as says_revert_of_revert,
        substring(title from '(?i)^revert "(.*)"') as reverted_title,
        is_hotfix
    from pull_requests
    where says_revert or is_hotfix
),

-- `#12`, or the first digits of a commit hash.
listed as (
    select
        speaking.pull_request_id,
        speaking.repository_id,
        parts.reverted_name
    from speaking
    cross join
        lateral regexp_split_to_table(speaking.reverts, '\s+') as parts (reverted_name)
),

named as (
    select
        listed.pull_request_id,
        other.pull_request_id as reverted_id
    from listed
    inner join pull_requests as other
        on listed.repository_id = other.repository_id
        and listed.reverted_name = concat('#', other.number)
    where listed.pull_request_id <> other.pull_request_id
    union
    select
        listed.pull_request_id,
        other.pull_request_id as reverted_id
    from listed
    inner join pull_requests as other
        on listed.repository_id = other.repository_id
        and left(listed.reverted_name, 7) = left(other.merge_commit_sha, 7)
        and starts_with(other.merge_commit_sha, listed.reverted_name)
    where
        listed.reverted_name ~ '^[0-9a-f]{7,40}$'
        and listed.pull_request_id <> other.pull_request_id
),

-- A number takes precedence over a title.
titles as (
    select
        speaking.pull_request_id,
        other.pull_request_id as reverted_id,
        1 as place,
        other.merged_at,
        other.number
    from speaking
    inner join pull_requests as other
        on speaking.repository_id = other.repository_id
        and substring(speaking.reverted_title from '\(#[0-9]+\)$')
        = concat('(#', other.number, ')')
    where speaking.pull_request_id <> other.pull_request_id
    union all
    select
        speaking.pull_request_id,
        other.pull_request_id as reverted_id,
        2 as place,
        other.merged_at,
        other.number
    from speaking
    inner join pull_requests as other
        on speaking.repository_id = other.repository_id
        and speaking.reverted_title = other.title
    where
        (other.merged_at, other.number) < (speaking.merged_at, speaking.number)
        and speaking.pull_request_id <> other.pull_request_id
),

titled as (
    select distinct on (titles.pull_request_id)
        titles.pull_request_id,
        titles.reverted_id
    from titles
    left join named on titles.pull_request_id = named.pull_request_id
    where named.pull_request_id is null
    order by
        titles.pull_request_id asc,
        titles.place asc,
        titles.merged_at desc,
        titles.number desc
),

reverted as (
    select * from named
    union all
    select * from titled
),

described as (
    select
        speaking.pull_request_id,
        array_agg(reverted.reverted_id order by reverted.reverted_id) filter (
            where reverted.reverted_id is not null and other.says_revert is not true
        ) as reverted_ids,
        speaking.says_revert
        and not speaking.says_revert_of_revert
        and not coalesce(
            bool_and(coalesce(other.says_revert, false)) filter (
                where reverted.reverted_id is not null
            ),
            false
        ) as is_revert,
        speaking.is_hotfix
    from speaking
    left join reverted on speaking.pull_request_id = reverted.pull_request_id
    left join speaking as other on reverted.reverted_id = other.pull_request_id
    group by
        speaking.pull_request_id,
        speaking.says_revert,
        speaking.says_revert_of_revert,
        speaking.is_hotfix
)

select * from described
