-- No CTE: Postgres works out a view that has one as a whole, where this one lets it
-- look the oldest or the touched rows up in an index.
select
    id as pull_request_id,
    repository_id,
    repository as repository_name,
    number,
    title,
    url,
    lower(state) as state,
    is_draft,
    author_id,
    author_login,
    coalesce(author_type = 'Bot', false) as is_by_bot,
    {{ person_id('author_id', 'author_login') }} as author_person_id,
    {{ login_key('author_login') }} as author_login_key,
    created_at,
    updated_at,
    closed_at,
    merged_at,
    first_commit_at,
    additions,
    deletions,
    changed_files,
    commits,
    labels,
    vanished_at,
    change_number
from {{ source('github', 'pull_requests') }}
