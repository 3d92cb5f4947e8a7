-- No CTE, so that Postgres can find the oldest or the changed rows by an index. It
-- would compute all rows of a view with a CTE.
select
    id as pull_request_id,
    repository_id,
    repository as repository_name,
    number,
    title,
    url,
    {{ lower_ascii('state') }} as state,
    is_draft,
    author_id,
    author_login,
    coalesce(author_type = 'Bot', false)
    or {{ is_automation('author_login') }} as is_by_bot,
    {{ person_id('author_id', 'author_login') }} as author_account_id,
    {{ login_key('author_login') }} as author_login_key,
    created_at,
    updated_at,
    closed_at,
    merged_at,
    merged_by_login,
    base_ref,
    head_ref,
    merge_commit_sha,
    head_sha,
    reverts,
    -- A wrong clock: more than 365 days before the opening, or after the merge.
    case
        when
            first_commit_at between created_at - interval '8760 hours'
            and coalesce(merged_at, 'infinity')
            then first_commit_at
    end as first_commit_at,
    first_commit_at as first_commit_dated_at,
    additions,
    deletions,
    changed_files,
    commits,
    labels,
    vanished_at,
    change_number
from {{ source('github', 'pull_requests') }}
